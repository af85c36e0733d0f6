"""Every setting of semconv: one typed tree, each leaf with its meaning, unit and default.

``semconv.cli`` reads it from YAML and the command line; a section a file.
"""

from semconv.config.align import AlignSettings, TaskSettings
from semconv.config.base import BaseSettings
from semconv.config.converge import ConvergeSettings
from semconv.config.corpus import CorpusSettings, SyntheticSettings
from semconv.config.embed import (
    DccfSettings,
    EmbedSettings,
    EncoderSettings,
    GraphSettings,
    ItemToItemSettings,
    LightgcnSettings,
    SasrecSettings,
)
from semconv.config.evaluate import EvaluateSettings
from semconv.config.leaves import Positive, Section, determining
from semconv.config.precache import PrecacheSettings
from semconv.config.recommend import RecommendSettings
from semconv.config.release import NightSettings, ReleaseSettings
from semconv.config.run import RaySettings, RunSettings
from semconv.config.serve import ServeSettings
from semconv.config.settings import Settings
from semconv.config.tokenize import RqVaeSettings, TokenizeSettings

__all__ = [
    "AlignSettings",
    "BaseSettings",
    "ConvergeSettings",
    "CorpusSettings",
    "DccfSettings",
    "EmbedSettings",
    "EncoderSettings",
    "EvaluateSettings",
    "GraphSettings",
    "ItemToItemSettings",
    "LightgcnSettings",
    "NightSettings",
    "Positive",
    "PrecacheSettings",
    "RaySettings",
    "RecommendSettings",
    "ReleaseSettings",
    "RqVaeSettings",
    "RunSettings",
    "SasrecSettings",
    "Section",
    "ServeSettings",
    "Settings",
    "SyntheticSettings",
    "TaskSettings",
    "TokenizeSettings",
    "determining",
]
