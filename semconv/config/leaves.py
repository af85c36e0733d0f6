"""What settings are made of: leaves with a meaning and a default, and the sections that hold them.

A leaf made with `operational` says how the work is spread (workers, batch sizes, ports) and never changes what is
computed, so it takes no part in deciding whether an artifact is up to date.
"""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

Fraction = Annotated[float, Field(ge=0.0, le=1.0)]
Positive = Annotated[int, Field(ge=1)]


def setting(default: Any, meaning: str, **constraints: Any) -> Any:
    """A leaf whose value changes what is computed. ``meaning`` names the unit where there is one."""
    return Field(default, description=meaning, **constraints)


def operational(default: Any, meaning: str, **constraints: Any) -> Any:
    """A leaf that says only how the work is spread; artifacts do not depend on it."""
    return Field(default, description=meaning, json_schema_extra={"operational": True}, **constraints)


class Section(BaseModel):
    """A group of settings; refuses names it does not know."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=False)

    def idle(self) -> frozenset[str]:
        """Names of leaves that, as the others are set, change nothing."""
        return frozenset()


def determining(section: Section) -> dict[str, Any]:
    """The part of a section that changes what is computed, as plain JSON values (operational, idle leaves left out)."""
    kept: dict[str, Any] = {}
    idle = section.idle()
    dumped = section.model_dump(mode="json")
    for name, field in type(section).model_fields.items():
        extra = field.json_schema_extra
        if name in idle or (isinstance(extra, dict) and extra.get("operational")):
            continue
        value = getattr(section, name)
        kept[name] = determining(value) if isinstance(value, Section) else dumped[name]
    return kept
