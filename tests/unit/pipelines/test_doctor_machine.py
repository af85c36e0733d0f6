"""What the doctor says of cores, memory, GPUs and the compiler."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from pipelines import doctor_machine
from semconv.cli import load_settings
from semconv.config import Settings
from semconv.errors import ResourceError


def settings(*arguments: str) -> Settings:
    return load_settings(list(arguments))


def test_more_workers_than_ray_counts_cpus_are_refused_as_the_stage_would() -> None:
    assert "Ray counts 4" in doctor_machine.cores(settings())
    with pytest.raises(ResourceError, match=r"precache\.workers is 4, .*ray\.num_cpus = 4, of which one") as error:
        doctor_machine.cores(settings("--precache.workers", "4"))
    assert error.value.remedy.startswith("Set ray.num_cpus to 5")
    assert doctor_machine.cores(settings("--embed.workers", "4"))
    assert "nodes are asked" in doctor_machine.cores(settings("--precache.workers", "64", "--ray.address", "head:6379"))


def test_every_setting_that_counts_workers_is_known() -> None:
    named = set(doctor_machine.workers_of(settings()))
    counted = {
        f"{section}.{leaf}"
        for section, value in settings()
        for leaf in type(value).model_fields
        if leaf.endswith("workers")
    }
    assert named == counted


def test_memory_is_counted_by_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor_machine, "available", lambda: 5 * doctor_machine.GIB)
    assert "about 5.0 GiB needed" in doctor_machine.memory(settings("--precache.workers", "2"))
    with pytest.raises(ResourceError, match="3 workers need about 6"):
        doctor_machine.memory(settings("--precache.workers", "3"))


def test_a_containers_limit_counts(tmp_path: Path) -> None:
    whole = doctor_machine.available(tmp_path)
    (tmp_path / "memory.max").write_text("3000\n")
    (tmp_path / "memory.current").write_text("1000\n")
    assert doctor_machine.available(tmp_path) == 2000
    (tmp_path / "memory.max").write_text("max\n")
    assert doctor_machine.available(tmp_path) == pytest.approx(whole, rel=0.2)


def test_a_small_shared_memory_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor_machine, "SHARED_BYTES", 2**60)
    with pytest.raises(ResourceError, match="/dev/shm has"):
        doctor_machine.shared_memory(settings())


def test_a_driver_without_gpus_in_torch_is_found(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.setattr(doctor_machine, "DRIVER", tmp_path / "absent")
    assert "CPUs" in doctor_machine.gpu(settings())
    monkeypatch.setattr(doctor_machine, "DRIVER", tmp_path)
    with pytest.raises(ResourceError, match="sees no GPU"):
        doctor_machine.gpu(settings())
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert "CPUs" in doctor_machine.gpu(settings())


def test_more_training_workers_than_gpus_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda number: "a card")
    assert doctor_machine.gpu(settings()) == "1 x a card"
    with pytest.raises(ResourceError, match=r"align\.workers is 2"):
        doctor_machine.gpu(settings("--align.workers", "2"))


def test_deepspeeds_piece_its_lock_and_the_compiler(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("TORCH_EXTENSIONS_DIR", str(tmp_path))
    monkeypatch.setattr("shutil.which", lambda name: f"/usr/bin/{name}")
    assert "not needed" in doctor_machine.compiler(settings("--align.engine", "plain"))
    with pytest.raises(ResourceError, match="not in") as error:
        doctor_machine.compiler(settings())
    assert error.value.remedy == "Build it: python -m pipelines.prepare"
    folder = tmp_path / doctor_machine.PIECE
    folder.mkdir()
    (folder / f"{doctor_machine.PIECE}.so").touch()
    assert "is built" in doctor_machine.compiler(settings())
    (folder / "lock").touch()
    with pytest.raises(ResourceError, match="lock"):
        doctor_machine.compiler(settings())
    (folder / "lock").unlink()
    monkeypatch.setattr("shutil.which", lambda name: None)
    with pytest.raises(ResourceError, match="no C\\+\\+ compiler"):
        doctor_machine.compiler(settings())
