"""Steps, the store that keeps their results, and the engine that runs them on Dask."""
