"""The folders of a package become workflows, or problems with file, line and field."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from pathlib import Path

import pytest

from thirdring.errors import ConfigError
from thirdring.workflow import CALL_FACTS, discover, instructions

CODE = '''\
from livekit.agents import RunContext, llm

from thirdring.settings import TurnTaking
from thirdring.state import CallState
from thirdring.workflow import Workflow
from tools.guard import guarded

@llm.function_tool
@guarded
async def end_call(ctx: RunContext[CallState]) -> str:
    """End the call."""
    return ""


workflow = Workflow(
    name="front_desk",
    turn_taking=TurnTaking(),
    tools=(end_call,),
    facts=("parking",),
    greeting="Hello from {{ business_name }}.",
)
'''
TEXT = "You answer for {{ business_name }}.\nParking: {{ parking }}\n"

TWO_AGENTS = CODE.replace(
    '    facts=("parking",),\n',
    """    facts=("parking",),
    hands_over_to=("bills",),
    agents=(
        AgentPart(
            name="bills",
            when="a bill",
            tools=(end_call,),
            hands_over_to=("main",),
            opening="Hello from {{ parking }}.",
        ),
    ),
""",
).replace("import Workflow", "import AgentPart, Workflow")
"""A workflow whose second agent has its instructions in `bills.md`."""

Package = Callable[..., str]

_numbers = itertools.count()


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Package:
    """Return a function that writes a package with one workflow and returns its name."""
    monkeypatch.syspath_prepend(str(tmp_path))

    def write(
        code: str | None = CODE,
        text: str | None = TEXT,
        voice: str = "Be brief.",
        bills: str | None = None,
        policy: str | None = None,
    ) -> str:
        # Imports are cached by name: each package of a test run has its own.
        name = f"desks{next(_numbers)}"
        files = {"__init__.py": "", "_shared/voice.md": voice, "_drafts/notes.md": "{{ no }}"}
        files |= {"front_desk/__init__.py": code} if code is not None else {}
        files |= {"front_desk/instructions.md": text} if text is not None else {}
        files |= {"front_desk/bills.md": bills} if bills is not None else {}
        files |= {"front_desk/policies/pets.md": policy} if policy is not None else {}
        for file, content in files.items():
            path = tmp_path / name / file
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(content)
        return name

    return write


def test_a_folder_becomes_a_workflow(package: Package) -> None:
    """Its name is the key; folders that begin with `_` are none."""
    found = discover(package())
    assert list(found) == ["front_desk"]
    assert found["front_desk"].facts == ("parking",)


def test_instructions_begin_with_how_to_speak(
    package: Package, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The shared text comes first, wherever the program was started."""
    name = package()
    monkeypatch.chdir("/")
    text = instructions(discover(name)["front_desk"], name)
    assert text == f"Be brief.\n\n{TEXT}"


def test_agents_have_instructions_of_their_own(package: Package) -> None:
    """Those of an agent stand in the file of its name, after how to speak."""
    name = package(code=TWO_AGENTS, bills="You know bills.")
    text = instructions(discover(name)["front_desk"], name, agent="bills")
    assert text == "Be brief.\n\nYou know bills.\n"


# Each row: what is written instead, and the problem without the name of the package.
BAD: dict[str, tuple[dict[str, str | None], str]] = {
    "unknown placeholder": (
        {"text": "Hello.\nCall {{ caler_phone }}."},
        "front_desk/instructions.md:2:6 {{ caler_phone }}: is neither a fact of the workflow nor",
    ),
    "placeholder in the shared text": (
        {"voice": "Say {{ parking }}"},
        "_shared/voice.md:1:5 {{ parking }}: is neither a fact",
    ),
    "unknown placeholder in a policy": (
        {"policy": "# Pets\nAsk {{ vet }}."},
        "front_desk/policies/pets.md:2:5 {{ vet }}: is neither a fact",
    ),
    "a fact of the caller in a policy": (
        {"policy": "{{ caller_phone }}"},
        "front_desk/policies/pets.md:1:1 {{ caller_phone }}: is neither a fact",
    ),
    "an empty policy": ({"policy": " "}, "front_desk/policies/pets.md:1:1 file: is empty"),
    "no instructions": ({"text": None}, "front_desk/instructions.md:1:1 file: is missing"),
    "empty instructions": ({"text": " \n"}, "front_desk/instructions.md:1:1 file: is empty"),
    "no module": ({"code": None}, "front_desk/__init__.py:1:1 file: is missing"),
    "no workflow": (
        {"code": "x = 1"},
        "front_desk/__init__.py:1:1 workflow: has no workflow",
    ),
    "another name": (
        {"code": CODE.replace('"front_desk"', '"back_desk"')},
        "front_desk/__init__.py:16:5 workflow.name: is 'back_desk', which is not the name",
    ),
    "unknown fact in the greeting": (
        {"code": CODE.replace("business_name", "busines_name")},
        "front_desk/__init__.py:20:5 workflow.greeting: uses the unknown fact 'busines_name'",
    ),
    "a brace too few in the greeting": (
        {"code": CODE.replace("business_name }}", "business_name }")},
        "front_desk/__init__.py:20:5 workflow.greeting: has {{ or }} without its other half",
    ),
    "a brace too few in the instructions": (
        {"text": "Hello.\nCall { caller_phone }}."},
        "front_desk/instructions.md:2:21 file: has {{ or }} without its other half",
    ),
    "tool without a guard": (
        {"code": CODE.replace("@guarded\n", "")},
        "front_desk/__init__.py:17:5 workflow.tools: has end_call, which nothing limits",
    ),
    "tool without a docstring": (
        {"code": CODE.replace('    """End the call."""\n', "")},
        "front_desk/__init__.py:17:5 workflow.tools: has end_call, which does not say",
    ),
    "two tools with one name": (
        {"code": CODE.replace("(end_call,)", "(end_call, end_call)")},
        "front_desk/__init__.py:18:5 workflow.tools: has two named end_call",
    ),
    "an agent without instructions": (
        {"code": TWO_AGENTS, "bills": None},
        "front_desk/bills.md:1:1 file: is missing",
    ),
    "unknown placeholder of an agent": (
        {"code": TWO_AGENTS, "bills": "You {{ debts }}"},
        "front_desk/bills.md:1:5 {{ debts }}: is neither a fact",
    ),
    "unknown agent": (
        {"code": TWO_AGENTS.replace('=("bills",)', '=("bills", "wills")'), "bills": "Bills."},
        "front_desk/__init__.py:20:5 workflow.hands_over_to: names wills, which is no agent",
    ),
    "unknown agent of an agent": (
        {"code": TWO_AGENTS.replace('=("main",)', '=("maine",)'), "bills": "Bills."},
        "front_desk/__init__.py:26:13 workflow.agents.bills.hands_over_to: names maine",
    ),
    "an agent that hands over to itself": (
        {"code": TWO_AGENTS.replace('=("main",)', '=("bills",)'), "bills": "Bills."},
        "front_desk/__init__.py:26:13 workflow.agents.bills.hands_over_to: names bills, which is",
    ),
    "an agent that nobody reaches": (
        {"code": TWO_AGENTS.replace('=("bills",)', "=()"), "bills": "Bills."},
        "front_desk/__init__.py:23:13 workflow.agents.bills.name: is bills, which no agent",
    ),
    "an agent with two tools of one name": (
        {
            "code": TWO_AGENTS.replace(
                "(end_call,),\n            hands", "(end_call, end_call),\n            hands"
            ),
            "bills": "Bills.",
        },
        "front_desk/__init__.py:25:13 workflow.agents.bills.tools: has two named end_call",
    ),
    "unknown fact in an opening": (
        {"code": TWO_AGENTS.replace("from {{ parking", "from {{ barking"), "bills": "Bills."},
        "front_desk/__init__.py:27:13 workflow.agents.bills.opening: uses the unknown fact",
    ),
    "a tool with a name for handing over": (
        {"code": CODE.replace("end_call", "hand_over_to_bills")},
        "front_desk/__init__.py:18:5 workflow.tools: has hand_over_to_bills, a name that is kept",
    ),
    "a value of the wrong type": (
        {"code": CODE.replace('("parking",)', "17")},
        "front_desk/__init__.py:15:1 file: fails: ValidationError: 1 validation error for Workflow "
        "facts",
    ),
    "syntax": ({"code": "x = 1\ny = = 2\n"}, "front_desk/__init__.py:2:5 file: fails: SyntaxError"),
    "import": (
        {"code": f"\nimport no_such_module\n{CODE}"},
        "front_desk/__init__.py:2:1 file: fails: ModuleNotFoundError: No module named",
    ),
}


@pytest.mark.parametrize("name", BAD)
def test_a_broken_folder_is_told_with_file_line_and_field(name: str, package: Package) -> None:
    """One mistake gives one problem that points at it."""
    changes, expected = BAD[name]
    desks = package(**changes)
    with pytest.raises(ConfigError) as caught:
        discover(desks)
    (problem,) = caught.value.problems
    assert str(problem).startswith(f"{desks}/{expected}")


def test_instructions_that_are_no_text_are_a_problem(package: Package, tmp_path: Path) -> None:
    """A file in another encoding is refused, not guessed."""
    desks = package()
    (tmp_path / desks / "front_desk" / "instructions.md").write_bytes(b"\xe9")
    with pytest.raises(ConfigError, match=r"1:1 file: cannot be read \(UnicodeDecodeError\)"):
        discover(desks)


def test_a_workflow_from_a_function_has_problems_too(package: Package) -> None:
    """Where no `Workflow(...)` stands in the file, the problem is about its first line."""
    code = CODE.replace('"front_desk"', '"x"').replace("Workflow(\n", "make(\n")
    code = code.replace("\n\n\nworkflow", "\n\n\nmake = Workflow\nworkflow", 1)
    with pytest.raises(ConfigError, match=r"__init__\.py:1:1 workflow\.name: is 'x'"):
        discover(package(code=code))


def test_all_problems_are_told_at_once(package: Package) -> None:
    """Mistakes in code, instructions and shared text come in one error."""
    code = CODE.replace('"front_desk"', '"back_desk"')
    with pytest.raises(ConfigError) as caught:
        discover(package(code=code, text="{{ a }}\n{{ b }}", voice="{{ c }}"))
    assert [problem.path for problem in caught.value.problems] == [
        "{{ c }}",
        "workflow.name",
        "{{ a }}",
        "{{ b }}",
    ]


def test_every_call_fact_may_be_used(package: Package) -> None:
    """Instructions may use the facts that every call has without asking for them."""
    text = " ".join(f"{{{{ {fact} }}}}" for fact in CALL_FACTS)
    assert discover(package(text=text))


def test_the_workflows_of_the_repository_are_sound() -> None:
    """What is shipped starts."""
    assert "patient_questions" in discover()
