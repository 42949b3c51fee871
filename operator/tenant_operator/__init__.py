"""The operator: watches Tenant and TenantTemplate resources and keeps what belongs to each tenant as it should be."""
