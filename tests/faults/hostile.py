"""Surroundings that would change a result, or end a run, if they were let in."""

from __future__ import annotations

from pathlib import Path

VARIABLES = {
    # What launchers and profiles leave behind: accelerate's, torchrun's, Slurm's, a CUDA module's.
    "ACCELERATE_MIXED_PRECISION": "bf16",
    "ACCELERATE_DYNAMO_BACKEND": "INDUCTOR",
    "FSDP_VERSION": "2",
    "WORLD_SIZE": "2",
    "RANK": "0",
    "LOCAL_RANK": "0",
    "MASTER_ADDR": "127.0.0.1",
    "MASTER_PORT": "29513",
    "NVIDIA_TF32_OVERRIDE": "1",
    "CUBLAS_WORKSPACE_CONFIG": ":16:8",
    # Other arithmetic.
    "OMP_NUM_THREADS": "2",
    "ATEN_CPU_CAPABILITY": "default",
    "MKL_CBWR": "COMPATIBLE",
    "ONEDNN_MAX_CPU_ISA": "SSE41",
    "ONEDNN_DEFAULT_FPMATH_MODE": "BF16",
    "OPENBLAS_CORETYPE": "Prescott",
    "NPY_DISABLE_CPU_FEATURES": "AVX2 FMA3",
    "PYTORCH_JIT": "0",
    "TORCH_LOGS": "no such log",
    # Another Python.
    "PYTHONOPTIMIZE": "2",
    "PYTHONHASHSEED": "7",
    "PYTHONWARNINGS": "error",
    "PYTHONUTF8": "0",
    "LC_ALL": "C",
    "TZ": "Asia/Kathmandu",
    # Other settings of libraries.
    "TRANSFORMERS_VERBOSITY": "no such level",
    "HF_HUB_DISABLE_SYMLINKS": "1",
    "DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES": "0",
    "DASK_DISTRIBUTED__COMM__COMPRESSION": "no such compression",
    "PIP_USER": "1",
}


def surround(folder: Path) -> dict[str, str]:
    """Variables, and a folder to work in whose modules would shadow the installed ones."""
    for name in ("numpy", "torch", "distributed", "typer", "yaml"):
        (folder / f"{name}.py").write_text("raise RuntimeError('a shadow')\n")
    (folder / "dask.yaml").write_text("{: this is no YAML")
    (folder / "sitecustomize.py").write_text("raise RuntimeError('a shadow')\n")
    return VARIABLES | {"PYTHONPATH": str(folder), "DASK_CONFIG": str(folder / "dask.yaml")}
