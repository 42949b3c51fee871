"""Tenant and TenantTemplate as models, their files, tokens, identity secrets and config rendering."""
