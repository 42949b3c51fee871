"""What can't be provided for says why, and the others go on."""

from __future__ import annotations

from operator_world import World, template, tenant

from tenant_api.kubernetes_names import child_name


async def test_bad_template_fails_its_tenant_with_the_line_and_no_other(here: World) -> None:
    here.start()
    here.apply(
        template(),
        template("broken", config='{\n  agents: {\n    name: "{{ tenant.nme }}"\n  }\n}'),
        template("no-json5", config="{\n  agents: [\n}"),
        tenant("ann", template="broken"),
        tenant("amy", template="no-json5"),
        tenant("bob"),
    )
    message = await here.said("ann", "Accepted", "False", "ConfigInvalid")
    assert "line 3" in message and "'broken'" in message and "nme" in message
    await here.phase("ann", "Failed")
    message = await here.said("amy", "Accepted", "False", "TemplateInvalid")
    assert "line 3" in message and "'no-json5'" in message
    assert "line 3" in await here.said("no-json5", "Accepted", "False", "ConfigInvalid", "tenanttemplates")
    await here.phase("bob", "Asleep")
    assert here.get("deployments", child_name("ann")) is None

    here.apply(template("broken", config="{}"))
    await here.phase("ann", "Asleep")
    await here.said("broken", "Accepted", "True", "Accepted", "tenanttemplates")


async def test_bad_overlay_fails_its_tenant_with_the_path(here: World) -> None:
    here.start()
    here.apply(
        template(protected=["models.providers"]),
        tenant("ann", config={"models": {"providers": {"x": {"baseUrl": "http://evil"}}}}),
        tenant("bob"),
    )
    message = await here.said("ann", "Accepted", "False", "OverlayInvalid")
    assert "models.providers" in message
    await here.phase("ann", "Failed")
    await here.phase("bob", "Asleep")


async def test_provisioned_tenant_keeps_what_it_has_when_its_overlay_breaks(here: World) -> None:
    here.start()
    here.apply(template(), tenant("ann", config={"ui": {"name": "a"}}))
    await here.phase("ann", "Asleep")
    here.apply(tenant("ann", config={"gateway": {"port": 1}}))
    assert "gateway.port" in await here.said("ann", "Accepted", "False", "OverlayInvalid")
    assert here.config("ann")["ui"] == {"name": "a"}
    assert here.status("ann")["phase"] == "Asleep"


async def test_of_two_tenants_with_one_token_the_older_keeps_it(here: World) -> None:
    here.start()
    here.apply(template(), tenant("old", "shared"))
    await here.phase("old", "Asleep")
    await here.second_later("old")
    here.apply(tenant("new", "shared"))
    message = await here.said("new", "Accepted", "False", "TokenTaken")
    assert "'phone'" in message and f"{here.namespace}/old" in message
    await here.phase("new", "Failed")
    assert here.status("old")["phase"] == "Asleep"
    # It gets it when the older one goes.
    here.delete("tenants", "old")
    await here.phase("new", "Asleep")


async def test_template_that_is_not_there_and_a_pinned_version(here: World) -> None:
    here.start()
    here.apply(tenant("ann"), tenant("bob", templateRef={"name": "standard", "version": "7"}))
    assert "'standard'" in await here.said("ann", "Accepted", "False", "TemplateNotFound")
    here.apply(template())
    await here.phase("ann", "Asleep")
    assert "'7'" in await here.said("bob", "Accepted", "False", "TemplateVersionNotFound")


async def test_template_says_who_follows_it_and_that_its_source_is_missing(here: World) -> None:
    here.start()
    source = {"persistentVolumeClaim": {"claimName": "golden"}}
    here.apply(template(volume={"size": "1Gi", "source": source}), tenant("ann"), tenant("bob"))
    await here.phase("bob", "Asleep")
    assert "'golden'" in await here.said("standard", "VolumeReady", "False", "SourceNotFound", "tenanttemplates")
    await here.followed("standard", "2 tenants: 2 at version 1")
    assert here.status("standard", "tenanttemplates")["tenants"] == 2
    claim = here.get("persistentvolumeclaims", child_name("ann"))
    assert claim and claim["spec"]["dataSource"]["name"] == "golden"
