//! localenv.
