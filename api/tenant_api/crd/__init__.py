"""CustomResourceDefinitions of Tenant and TenantTemplate, generated from their models (`python -m tenant_api.crd`)."""
