//! Secrets Manager: the master passwords that RDS keeps there.

mod master_password;

pub(crate) use master_password::MasterPasswords;
