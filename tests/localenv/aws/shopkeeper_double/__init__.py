"""An AWS double: moto in one process with one state, corrected where it differs from AWS, behind a middleware that
throttles, fails and records as told. See README.md."""
