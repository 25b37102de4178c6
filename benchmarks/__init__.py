"""Programs that measure audiodiff: `evaluate` the sound, `pipeline` the speed and memory; `demo` shows it."""
