"""Which part of jinja2 a template may use, and the rewriting that makes the rest count its steps.

Let in: output, if, for, set, conditions, comparisons, `~` and `+`, literals and a few filters and tests. Kept out is whatever
calls (methods, `range`, macros), multiplies, imports or includes: a config needs none of it, and each can run without end.
"""

from __future__ import annotations

from typing import Final

from jinja2 import TemplateSyntaxError, nodes

from tenant_api.config.template_environment import FILTERS, TemplateEnvironment

MAX_NODES: Final = 5_000
"""Nodes of the syntax tree. A template with a hundred expressions has a thousand."""

MAX_DEPTH: Final = 40
"""Levels of the syntax tree, so that neither jinja2's compiler nor Python's meets its recursion limit."""

_ALLOWED: Final[tuple[type[nodes.Node], ...]] = (
    nodes.Template, nodes.Output, nodes.TemplateData, nodes.If, nodes.For, nodes.Assign, nodes.Name, nodes.Const,
    nodes.Getattr, nodes.Getitem, nodes.CondExpr, nodes.Compare, nodes.Operand, nodes.And, nodes.Or, nodes.Not,
    nodes.Concat, nodes.Add, nodes.Filter, nodes.Test, nodes.List, nodes.Tuple, nodes.Dict, nodes.Pair, nodes.Keyword,
)  # fmt: skip
_LITERALS = (nodes.List, nodes.Dict, nodes.Pair, nodes.Const)
_NAMES: Final[dict[type[nodes.Node], str]] = {
    nodes.Call: "a call",
    nodes.Mul: "'*'",
    nodes.Pow: "'**'",
    nodes.Mod: "'%'",
    nodes.Slice: "a slice",
    nodes.Macro: "a macro",
    nodes.Include: "include",
    nodes.Import: "import",
    nodes.FromImport: "import",
    nodes.Extends: "extends",
}


def refuse(message: str, line: int) -> TemplateSyntaxError:
    """Return the error for something that templates of configs can't use."""
    return TemplateSyntaxError(message, line)


def parse(environment: TemplateEnvironment, text: str) -> nodes.Template:
    """Return the checked and rewritten syntax tree of a template.

    Raises
    ------
    TemplateSyntaxError
        The text is no template, or uses what is not let in.
    """
    tree = environment.parse(text)
    order = _check(tree)
    _rewrite(order, text)
    return tree


def _check(tree: nodes.Template) -> list[nodes.Node]:
    """Return the nodes in the order of the text."""
    order: list[nodes.Node] = []
    stack: list[tuple[nodes.Node, int]] = [(tree, 0)]
    while stack:
        node, depth = stack.pop()
        order.append(node)
        if len(order) > MAX_NODES:
            raise refuse(f"the template has more than {MAX_NODES} parts", node.lineno)
        if depth > MAX_DEPTH:
            raise refuse(f"the template is nested deeper than {MAX_DEPTH} levels", node.lineno)
        if not isinstance(node, _ALLOWED):
            what = _NAMES.get(type(node), f"'{type(node).__name__.lower()}'")
            raise refuse(f"{what} can't be used in a config's template", node.lineno)
        _check_node(node)
        stack.extend((child, depth + 1) for child in reversed(list(node.iter_child_nodes())))
    return order


def _check_node(node: nodes.Node) -> None:
    if isinstance(node, nodes.Filter):
        if node.node is None or node.name not in FILTERS or node.dyn_args or node.dyn_kwargs:
            raise refuse(f"there is no filter {node.name!r} here, only {', '.join(sorted(FILTERS))}", node.lineno)
    elif isinstance(node, nodes.Test):
        if node.args or node.kwargs or node.dyn_args or node.dyn_kwargs:
            raise refuse(f"'is {node.name}' takes no argument here; write a comparison", node.lineno)
    elif isinstance(node, nodes.Name):
        if node.name.startswith("_"):
            raise refuse(f"there is no {node.name!r}", node.lineno)
    elif isinstance(node, nodes.Assign):
        if not isinstance(node.target, nodes.Name):
            raise refuse("'set' takes one name", node.lineno)
    elif isinstance(node, nodes.For):
        if node.recursive:
            raise refuse("a recursive loop can't be used in a config's template", node.lineno)
    elif isinstance(node, nodes.List | nodes.Dict) and any(
        # Lists of lists of lists, by name, would grow like 2 to the power of their count.
        not isinstance(child, _LITERALS)
        for child in node.iter_child_nodes()
    ):
        raise refuse("a list or mapping holds literals only", node.lineno)


def _rewrite(order: list[nodes.Node], text: str) -> None:
    starts = [0]
    for line in text.split("\n"):
        starts.append(starts[-1] + len(line) + 1)
    cursor = 0
    outputs: list[tuple[nodes.Output, list[nodes.Expr]]] = []
    for node in order:
        if isinstance(node, nodes.For):
            cost = 1 + len(node.body) + sum(1 for child in node.body for _ in child.find_all(nodes.Node))
            assert isinstance(node.iter, nodes.Expr)
            node.iter = _filter(node.iter, "_counted", nodes.Const(cost), line=node.lineno)
        elif isinstance(node, nodes.Output):
            emitted: list[nodes.Expr] = []
            for child in node.iter_child_nodes():
                assert isinstance(child, nodes.Expr)
                literal = isinstance(child, nodes.TemplateData)
                offset = max(cursor, starts[min(child.lineno, len(starts) - 1) - 1])
                if isinstance(child, nodes.TemplateData):
                    found = text.find(child.data, offset)
                    offset = offset if found < 0 else found
                    cursor = offset + len(child.data)
                value: nodes.Expr = nodes.Const(child.data) if isinstance(child, nodes.TemplateData) else child
                arguments = (nodes.Const(offset), nodes.Const(literal))
                emitted.append(_filter(value, "_emit", *arguments, line=child.lineno))
            outputs.append((node, emitted))
    for output, emitted in outputs:
        output.nodes = emitted
    for node in order:
        for field, value in list(node.iter_fields()):
            if isinstance(value, nodes.Concat):
                setattr(node, field, _concat(value))
            elif isinstance(value, list):
                value[:] = [_concat(item) if isinstance(item, nodes.Concat) else item for item in value]


def _concat(node: nodes.Concat) -> nodes.Expr:
    return _filter(nodes.List(list(node.nodes), lineno=node.lineno), "_concat", line=node.lineno)


def _filter(node: nodes.Expr, name: str, *arguments: nodes.Expr, line: int) -> nodes.Expr:
    return nodes.Filter(node, name, list(arguments), [], None, None, lineno=line)
