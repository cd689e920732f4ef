"""What somebody hands to a cluster to run there: a Slurm script, a manifest for Kubernetes.

Only text is made here. What it starts joins a run as any other Dask cluster does, by
``--scheduler`` (:mod:`stilts_artifact.pipeline.cluster`).
"""
