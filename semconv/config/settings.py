"""The whole tree of settings."""

from __future__ import annotations

from pydantic import Field, model_validator

from semconv.config.align import AlignSettings
from semconv.config.base import BaseSettings
from semconv.config.converge import ConvergeSettings
from semconv.config.corpus import CorpusSettings
from semconv.config.embed import EmbedSettings
from semconv.config.evaluate import EvaluateSettings
from semconv.config.leaves import Section
from semconv.config.precache import PrecacheSettings
from semconv.config.recommend import RecommendSettings
from semconv.config.release import NightSettings, ReleaseSettings
from semconv.config.run import RaySettings, RunSettings
from semconv.config.serve import ServeSettings
from semconv.config.tokenize import TokenizeSettings


class Settings(Section):
    """The whole tree."""

    run: RunSettings = Field(RunSettings(), description="where a run lives and what it redoes")
    ray: RaySettings = Field(RaySettings(), description="the cluster the work runs on")
    corpus: CorpusSettings = Field(CorpusSettings(), description="what is read, cleaned and split")
    embed: EmbedSettings = Field(EmbedSettings(), description="text and behaviour vectors")
    base: BaseSettings = Field(BaseSettings(), description="the LLM before alignment")
    tokenize: TokenizeSettings = Field(TokenizeSettings(), description="items to codes")
    align: AlignSettings = Field(AlignSettings(), description="teaching the LLM the codes")
    recommend: RecommendSettings = Field(RecommendSettings(), description="what is recommended, everywhere")
    converge: ConvergeSettings = Field(ConvergeSettings(), description="all systems as one ranking")
    evaluate: EvaluateSettings = Field(EvaluateSettings(), description="metrics")
    precache: PrecacheSettings = Field(PrecacheSettings(), description="top K of every user")
    serve: ServeSettings = Field(ServeSettings(), description="the HTTP service")
    release: ReleaseSettings = Field(ReleaseSettings(), description="what goes live, and back")
    night: NightSettings = Field(NightSettings(), description="what a night starts from")

    @model_validator(mode="after")
    def _append_continues_another_run(self) -> Settings:
        if self.tokenize.append and self.run.parent is None:
            raise ValueError("tokenize.append continues the tokens of an earlier run, and run.parent names none")
        if self.run.parent is not None and not self.tokenize.append:
            raise ValueError(f"run.parent is '{self.run.parent}', which only tokenize.append (--append) makes use of")
        if self.tokenize.append and self.run.parent == self.run.name:
            raise ValueError(
                f"run.parent and run.name are both '{self.run.name}': tokenize.append makes a new version, "
                "in a run of its own"
            )
        return self

    @model_validator(mode="after")
    def _other_seeds_are_others(self) -> Settings:
        if self.run.seed in self.evaluate.seeds:
            raise ValueError(f"evaluate.seeds names {self.run.seed}, which is run.seed: it is evaluated anyway")
        if self.evaluate.seeds and self.tokenize.append:
            raise ValueError(
                "evaluate.seeds trains everything anew with each seed, and tokenize.append continues a run"
            )
        return self

    @model_validator(mode="after")
    def _refits_of_a_whole_job(self) -> Settings:
        if self.evaluate.refit and self.tokenize.append:
            raise ValueError("evaluate.refit trains everything anew, and tokenize.append continues a run")
        if self.evaluate.refit and self.corpus.refit:
            raise ValueError("evaluate.refit chooses on what validates, and corpus.refit leaves nothing to validate on")
        return self

    @model_validator(mode="after")
    def _search_covers_what_is_asked(self) -> Settings:
        """A longer list than was searched for would be another list, not more of the same."""
        kept = "precache.k + precache.spare" if self.precache.spare else "precache.k"
        asked = {kept: self.precache.kept, "evaluate.at": max(self.evaluate.at)}
        for name in sorted({"beams", "candidates"} - self.recommend.idle()):
            searched = getattr(self.recommend, name)
            for setting, k in asked.items():
                if searched < k:
                    raise ValueError(f"recommend.{name} ({searched}) is smaller than {setting} ({k})")
        return self
