"""Reads `thirdring.yaml`: every mistake at once, each with its place, or the checked settings.

The file, or a folder of files, becomes plain data with places (`config_files`), variables are put
in (`variables`), each value is checked (`config_schema`), then what they demand of each other
(`config_checks`).
"""

from __future__ import annotations

import gc
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from types import NoneType
from typing import Any, Final, get_args, get_origin
from warnings import catch_warnings

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from thirdring.config_checks import check
from thirdring.config_files import read
from thirdring.config_findings import Findings
from thirdring.config_models import warned_models
from thirdring.config_schema import SettingsFile
from thirdring.config_values import one_of
from thirdring.home import Home
from thirdring.settings import Business, Settings
from thirdring.variables import MissingVariable, expand
from thirdring.workflow import Workflow
from thirdring.yaml_document import Document, YamlPath

__all__ = ["load", "warnings"]


def load(path: Path, *, workflows: Mapping[str, Workflow], environ: Mapping[str, str]) -> Settings:
    """Return the settings in the file at `path`, or in all files of the folder that it is.

    Args:
        path: Named in errors as it is given here.
        workflows: Those that lines may run, by name.
        environ: Where `${NAME}` is looked up.

    Raises:
        ConfigError: Everything that is wrong with the files, in their order.
    """
    with _collecting_no_garbage():
        return _checked(path, workflows, environ)


def _checked(path: Path, workflows: Mapping[str, Workflow], environ: Mapping[str, str]) -> Settings:
    # On its own: what it has read is given back before the collector walks again.
    document = read(path, expected="`version: 1`, `businesses:` and the rest")
    findings = Findings(document)
    _put_variables_in(document, findings, environ)
    file = _validated(document, findings)
    # What the files demand of each other cannot be said where one of them is missing.
    if not document.incomplete:
        check(findings, workflows)
    findings.raise_any()
    assert file is not None
    return file.settings()


def warnings(settings: Settings, today: date, home: Home) -> list[str]:
    """Return what works but should not stay as it is, one line each.

    Args:
        home: Where the files of relative paths are.
    """
    lines = [
        f"{slug}: the folder {folder} is not there; records wait until somebody makes it"
        for slug, folder in _folders(settings, home)
        if not folder.is_dir()
    ]
    for business in settings.businesses:
        lines += _over(business, today)
        lines += _unknown_services(business)
    lines += warned_models(settings, today)
    lines += [
        f"gateway: allowed_addresses has {network}, so that anyone may call"
        for network in settings.gateway.allowed_addresses
        if network.prefixlen == 0
    ]
    lines += [
        f"allowed_receivers has {network}, so that a webhook may reach whatever this machine can"
        for network in settings.allowed_receivers
        if network.prefixlen == 0
    ]
    return lines


def _over(business: Business, today: date) -> Iterator[str]:
    days = sorted(holiday.day for holiday in business.holidays if holiday.day < today)
    if days:
        verb, them = ("is", "it") if len(days) == 1 else ("are", "them")
        yield (
            f"{business.slug}: {len(days)} of {len(business.holidays)} holidays {verb} over, the "
            f"last {days[-1]}; take {them} out of the file"
        )


def _unknown_services(business: Business) -> Iterator[str]:
    urls = [(member, url) for member in business.staff.values() for url in member.notify]
    if not urls:
        return
    # Its services are loaded at the first use; one of them uses what Python 3.13 has no more.
    with catch_warnings(action="ignore", category=DeprecationWarning):
        import apprise  # noqa: PLC0415 - an extra that takes seconds to come up

        known = [apprise.Apprise.instantiate(url.get_secret_value()) for _, url in urls]
    for (member, _), service in zip(urls, known, strict=True):
        if service is None:
            yield (
                f"{business.slug}: no notification service understands an address of "
                f"{member.name}, who is told nothing there"
            )


def _folders(settings: Settings, home: Home) -> Iterator[tuple[str, Path]]:
    """Yield the folder of each business's file; the home itself is made when it is needed."""
    for business in settings.businesses:
        if business.sinks.file is not None:
            folder = (home.root / business.sinks.file.path).parent
            if folder != home.root:
                yield business.slug, folder


@contextmanager
def _collecting_no_garbage() -> Iterator[None]:
    """Halve the time: the collector walks all that is read again and again, and frees nothing."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def _put_variables_in(document: Document, findings: Findings, environ: Mapping[str, str]) -> None:
    for path, place in document.places.items():
        if place.written is None or "${" not in place.written or path in document.broken:
            continue
        try:
            _replace(document, path, expand(place.written, environ))
        except MissingVariable as error:
            if error.name:
                what = f"the variable {error.name} is not set"
                expected = f"{error.name} in the environment or .env.local, or a running `make up`"
            else:
                what = "`${` begins no variable"
                expected = "${NAME}, or $${ for the characters themselves"
            findings.value(path, what, expected)
            document.broken.add(path)


def _replace(document: Document, path: YamlPath, text: str) -> None:
    if not path:
        document.data = text
        return
    container: Any = document.data
    for step in path[:-1]:
        container = container[step]
    container[path[-1]] = text


def _validated(document: Document, findings: Findings) -> SettingsFile | None:
    try:
        return SettingsFile.model_validate(document.data)
    except ValidationError as error:
        for details in error.errors(include_url=False, include_input=False):
            _report(findings, details)
    return None


def _report(findings: Findings, details: ErrorDetails) -> None:
    """Say in our words, and at its place, what pydantic found."""
    kind, path = details["type"], details["loc"]
    # What pydantic calls a key may be the name of one.
    if path and path[-1] == "[key]" and path not in findings.document.keys:
        path = path[:-1]
        if kind == "enum":
            days = details["ctx"]["expected"].replace("'", "").replace(" or ", ", ").split(", ")
            findings.key(path, "unknown key", one_of(str(path[-1]), days))
        else:
            findings.key(path, *_words(details))
    elif kind == "extra_forbidden":
        known = _model_at(path[:-1]).model_fields
        findings.key(path, "unknown key", one_of(str(path[-1]), known))
    elif kind == "missing":
        findings.missing(path, "is missing", f"the key `{path[-1]}`")
    else:
        findings.value(path, *_words(details))


# What is wrong and what would be right, by pydantic's kind of error; braces are its context.
_WORDS: Final = {
    "thirdring": ("{what}", "{expected}"),
    "model_type": ("is not a mapping", "keys with values"),
    "dict_type": ("is not a mapping", "keys with values"),
    "tuple_type": ("is not a list", "a list, such as [first, second]"),
    "string_type": ("is not a string", "text; in quotes if it looks like something else"),
    "string_too_short": ("is empty", "text"),
    "string_too_long": ("is too long", "at most {max_length} characters"),
    "bool_type": ("is not true or false", "true or false without quotes"),
    "int_type": ("is not a whole number", "plain digits without quotes"),
    "float_type": ("is not a number", "a number such as 0.5 without quotes"),
    "greater_than_equal": ("is too small", "at least {ge}"),
    "less_than_equal": ("is too large", "at most {le}"),
    "literal_error": ("is not supported", "{expected}"),
}


def _words(details: ErrorDetails) -> tuple[str, str]:
    # Pydantic's own message, for kinds that the schema does not lead to today, holds no input.
    what, expected = _WORDS.get(details["type"], ("is not valid", "{msg}"))
    context = {"msg": details["msg"], **details.get("ctx", {})}
    return what.format_map(context), expected.format_map(context)


def _model_at(path: YamlPath) -> type[BaseModel]:
    """Return the model of the mapping at `path`, following the annotations of `SettingsFile`."""
    model: type[BaseModel] = SettingsFile
    steps = iter(path)
    for step in steps:
        annotation: Any = model.model_fields[str(step)].annotation
        while not (isinstance(annotation, type) and issubclass(annotation, BaseModel)):
            if get_origin(annotation) in (dict, tuple):
                next(steps)
            annotation = _inner(annotation)
        model = annotation
    return model


def _inner(annotation: Any) -> Any:
    """Return the values' type of a dict, the items' of a tuple, what is optional."""
    return [a for a in get_args(annotation) if a not in (Ellipsis, NoneType)][-1]
