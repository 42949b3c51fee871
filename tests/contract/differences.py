"""Where the native gateway's answers differ from upstream's, and why: the list that `test_contract` holds both to.

A place is a member's path, `[]` for the items of a list, `*` for whatever comes there. Only the outermost is named.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Difference:
    """One reason, the methods it holds for, and the places where it shows."""

    methods: tuple[str, ...]
    why: str
    """One clause, as the table in docs/native-gateway.md has it."""
    lacks: tuple[str, ...] = ()
    adds: tuple[str, ...] = ()
    means: tuple[str, ...] = ()
    """Calls whose answer means something else, or that only one of the two refuses."""
    sometimes: bool = False
    """It depends on the moment whether upstream shows it."""
    _used: set[str] = field(default_factory=set, compare=False)

    def covers(self, place: str, places: tuple[str, ...]) -> bool:
        """Whether a place is one of these."""
        found = [pattern for pattern in places if re.fullmatch(re.escape(pattern).replace(r"\*", ".*"), place)]
        self._used.update(found)
        return bool(found)

    def unused(self) -> set[str]:
        """Return the places and calls that no answer has shown."""
        return {*self.lacks, *self.adds, *self.means} - self._used

    def means_otherwise(self, name: str) -> bool:
        """Whether a call is known to mean something else."""
        self._used.update({name} & set(self.means))
        return name in self.means


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


_ROWS = _words("chat.history chat.startup sessions.list sessions.describe session.message sessions.changed")
"""What carries rows of sessions."""

DIFFERENCES = (
    Difference(
        _words("health status system.info channels.status"),
        "no measurements of Node, of its plugins or of the machine",
        lacks=_words(
            "eventLoop* modelRuntime processMemory* workerPools nodeVersion cpuModel disk* degraded* hostDesktop"
            " shutdownBudget taskAudit tasks.* heartbeat.agents[].waitingForRoute"
            " defaultAgentUtilityModel"
        ),
    ),
    Difference(("system.info",), "where the machine has an address in a LAN", lacks=("lanAddress",), sometimes=True),
    Difference(("system.info",), "says that it is this runtime", adds=_words("runtime version")),
    Difference(
        ("connect",),
        "no widgets, no plugin surfaces, no recovery of a lost device",
        lacks=_words("auth.recoveryScope controlUi* pluginSurfaceUrls server.buildId"),
        adds=_words("auth.issuedAtMs"),
    ),
    Difference(
        ("connect",),
        "the snapshot is whole from the first hello on",
        lacks=_words("snapshot.updateSchedule snapshot.health.eventLoop.*"),
        adds=_words("snapshot.health.*"),
        sometimes=True,
    ),
    Difference(
        _words("connect system-presence"),
        "the router's address would be shown, not the client's",
        lacks=_words("snapshot.presence[].ip [].ip"),
    ),
    Difference(_words("models.list chat.metadata"), "tells whether a model takes images", adds=("models[].input",)),
    Difference(
        ("agents.list",),
        "one agent, run here; its fallback models are told",
        lacks=("agents[].agentRuntime.*",),
        adds=("agents[].model.fallbacks",),
    ),
    Difference(
        _words("commands.list chat.metadata"),
        "commands without menus of choices, and no skills",
        lacks=_words("commands[].args[].* commands[].clientPresentation commands[].skill*"),
    ),
    Difference(
        ("chat.metadata",),
        "no accounts to choose among, no swarms",
        lacks=_words("accountSelection runtimeSelectionLocked swarmEnabled"),
    ),
    Difference(
        _words("tools.catalog tools.effective"),
        "no plugins",
        lacks=_words("groups[].pluginId groups[].tools[].*"),
    ),
    Difference(("update.status",), "who runs this gateway updates it", lacks=("schedule",), sometimes=True),
    Difference(
        ("chat.send",),
        "a repeated key is told when its run ended, and an error the provider's own words",
        adds=_words("endedAt startedAt stopReason errorDetail.*"),
        lacks=("errorDetail.providerRuntimeFailureKind",),
        means=("chat.send#failed",),
    ),
    Difference(
        ("chat.send",),
        "a missing session key is told as the schema error it is",
        means=("chat.send#no-key",),
    ),
    Difference(
        _ROWS,
        "one tenant is one person, on one machine: no participants, placements, costs or budgets in a row",
        lacks=_words(
            "*.placement.* *articipant* *.contextBudgetStatus *.estimatedCostUsd *.fastAutoOnSeconds"
            " *.agentRuntime.*Placement* *.activitySummary"
        ),
    ),
    Difference(
        _ROWS,
        "a row is as full in events as in lists",
        lacks=_words(
            "*.activeModel *.activeModelProvider *.parentSessionKey *.spawnDepth *.displayName *.createdActor"
            " *.derivedTitle *.lastActivityAt *.lastMessagePreview *.lastRunError *.hasAutomation *.ancestorSessions"
            " *.compacted *.subject *.sessionStartedAt *.totalTokensVersion *.agentStatus *.autoLabel *.goal *.owner *.childSessions"
        ),
        adds=_words(
            "activity deltaCursor thinkingLevel *.thinking* *.activeRunIds *.hasActiveRun *.lastRunId *.runtimeMs *.classification"
            " *.effective* *.isMain *.isBackground *.kind *.sharingRole *.snapshotAt *.label *.abortedLastRun"
            " *.lastInteractionAt *.compactionCount *.modelOverrideSource *.status *.startedAt *.endedAt *.agentId"
            " *.reason *.placement *.phase *.runId *.totalTokens* *.session *.systemSent *.chatType *.permissionModePending"
        ),
        sometimes=True,
    ),
    Difference(
        _words("chat.history chat.startup chat.message.get sessions.get session.message"),
        "a transcript has one branch and one source",
        lacks=_words(
            "*.__openclaw.transcriptPosition *.__openclaw.tokens* *.__openclaw.itemId messages[].usage.cost *.media[].hydrationSuppressed"
        ),
    ),
    Difference(
        _words("session.message sessions.changed"),
        "results of tools are told too, and the key under both of its names",
        adds=_words("[].key [].message.isError [].message.tool*"),
    ),
    Difference(
        ("session.message",),
        "a cron job's message is an ordinary one",
        adds=_words("[].message.__openclaw.transport.clients[].displayName"),
        lacks=_words("[].message.provenance [].message.sender* [].message.__openclaw.turnBoundary"),
        sometimes=True,
    ),
    Difference(
        _words("sessions.create sessions.patch sessions.reset"),
        "an entry without channels and parents; `reset` gives a new session id, upstream keeps it",
        lacks=_words(
            "entry.delivery entry.lifecycleRevision entry.parentSessionKey entry.sessionRoot entry.spawnDepth"
            " entry.chatType entry.compactionCount entry.*okens* entry.model* entry.sessionStartedAt resolved.thinking*"
        ),
        adds=_words("entry.abortedLastRun entry.systemSent resolved.agentRuntime resolved.runtimeSelectionLocked"),
    ),
    Difference(
        ("sessions.search",), "the latest first, not the best", lacks=("results[].score",), adds=("results[].agentId",)
    ),
    Difference(
        ("sessions.compact",),
        "all becomes the summary, no part of it is kept",
        lacks=_words("result.details.* result.firstKeptEntryId"),
    ),
    Difference(
        ("agent",),
        "the result without a report on the harness, the prompt and the request",
        lacks=_words("result.meta.* result.sourceReplyDeliveryState"),
        adds=("sessionId",),
    ),
    Difference(
        ("agent.wait",),
        "no receipt",
        lacks=_words("livenessState terminalReceipt"),
        adds=("startedAt",),
    ),
    Difference(
        ("tools.invoke",),
        "a tool answers in text; file tools can be invoked too",
        lacks=("output.details.*",),
    ),
    Difference(
        _words("config.get config.patch config.set config.apply"),
        "the configuration as it is written, without upstream's defaults filled in",
        lacks=_words(
            "config.* resolved.* runtimeConfig.* sourceConfig.* sentinel",
        ),
        adds=_words("changedPaths noop"),
    ),
    Difference(
        _words("config.schema config.schema.lookup"),
        "only the keys that are read here",
        lacks=_words("schema.* uiHints.* hint*"),
        adds=_words("schema.*"),
    ),
    Difference(
        _words("cron.add cron.list cron.get cron.update cron.run cron.runs cron.remove cron"),
        "schedules `at every cron`; nothing is delivered to channels, no policy of tools",
        lacks=_words(
            "*toolsAllow *cheduledToolPolicy *scheduleActivatedAtMs processInstanceId *.jobName *.model *.provider"
            " *.usage *.completionStatus *.delive*"
        ),
        adds=_words("*effectiveAgentId *deliveryPreview ran"),
    ),
    Difference(
        _words("cron.list cron cron.remove"),
        "none of upstream's own jobs (dreaming, skill review)",
        lacks=_words(
            "jobs[].* [].job.agentId [].job.declarationKey [].job.displayName [].job.description [].job.state.* [].error"
            " [].diagnostics [].durationMs [].runAtMs [].runId [].status sessionCleanup"
        ),
        sometimes=True,
    ),
    Difference(
        _words("gateway.suspend.prepare gateway.suspend.status"), "no custody of writes", lacks=("writeCustody",)
    ),
    Difference(
        ("agent#lifecycle",),
        "no story of the fallbacks",
        lacks=_words("[].data.* [].lane"),
        sometimes=True,
    ),
    Difference(
        ("agent#tool",),
        "a tool's event without the session's row",
        lacks=("[].*",),
        sometimes=True,
    ),
    Difference(("chat#final",), "no usage", lacks=("[].message.usage*",), sometimes=True),
    Difference(
        ("chat#error",),
        "the provider's own words",
        lacks=("[].errorDetail.*",),
        adds=("[].errorDetail.*",),
    ),
    Difference(("config.changed",), "the file is known", lacks=_words("[].path [].ts")),
)

EVENTS_NOT_THERE = {
    "session.operation": "compaction is told by `agent` and `sessions.changed`",
    "skills.changed": "no skills",
    "task": "no background tasks",
    "update.available": "who runs this gateway updates it",
    "health": "sent once a minute by both, at moments of their own",
    "tick": "sent every 30 s by both, at moments of their own",
    "presence": "sent when clients come and go, at moments of their own",
}

NOT_THERE = (
    (_words("nodes node. device. environments. worker. computer. desktop. portal. attach. browser."), "no nodes"),
    (_words("channels. conversations. message. send talk. tts. voicewake. push. mentions."), "no channels, no voices"),
    (_words("plugins. plugin. skills. mcp. hooks. canvas. board. claws. ui. controlUi."), "no plugins, skills, boards"),
    (_words("terminal. worktrees. fs. projects. github. tools.github."), "no terminals and work trees"),
    (_words("users. session. audit. secrets. exec. approval. question. openclaw. wizard."), "one person, no approvals"),
)
"""Families of methods that are not there (`features.methods` does not name them), and why."""

OTHERS_NOT_THERE = "not there"


def family(method: str) -> str:
    """Return why a method of upstream's is not there."""
    for prefixes, why in NOT_THERE:
        if any(method == prefix or (prefix.endswith(".") and method.startswith(prefix)) for prefix in prefixes):
            return why
    return OTHERS_NOT_THERE
