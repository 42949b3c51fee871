"""What belongs to a tenant, as objects of Kubernetes: pure functions from Tenant and TenantTemplate to JSON."""
