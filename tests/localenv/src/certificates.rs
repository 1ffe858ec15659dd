//! The certificates of one control plane: an authority, the API server's own, and one for each user.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa,
    KeyPair, KeyUsagePurpose,
};
use serde_json::json;

/// The authority that the API server and its clients trust, with the files it has issued.
pub(crate) struct CertificateAuthority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    directory: PathBuf,
}

/// Paths of a certificate and its key, in PEM.
pub(crate) struct Credential {
    pub(crate) certificate: PathBuf,
    pub(crate) key: PathBuf,
}

impl CertificateAuthority {
    pub(crate) fn create(directory: &Path) -> Result<Self> {
        fs::create_dir_all(directory)
            .with_context(|| format!("cannot create {}", directory.display()))?;
        let mut parameters = CertificateParams::default();
        parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        parameters.key_usages = vec![
            KeyUsagePurpose::DigitalSignature,
            KeyUsagePurpose::KeyCertSign,
        ];
        parameters
            .distinguished_name
            .push(DnType::CommonName, "localenv");
        let issuer = CertifiedIssuer::self_signed(parameters, KeyPair::generate()?)?;
        let authority = Self {
            issuer,
            directory: directory.to_owned(),
        };
        write(&authority.certificate(), &authority.issuer.pem())?;
        Ok(authority)
    }

    /// The authority's own certificate.
    pub(crate) fn certificate(&self) -> PathBuf {
        self.directory.join("ca.crt")
    }

    /// A serving certificate for the loopback interface and the names pods would use.
    pub(crate) fn server(&self) -> Result<Credential> {
        let names = [
            "127.0.0.1",
            "localhost",
            "kubernetes.default.svc",
            "10.100.0.1",
        ]
        .map(String::from);
        let mut parameters = CertificateParams::new(names)?;
        parameters
            .distinguished_name
            .push(DnType::CommonName, "kube-apiserver");
        parameters.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        self.issue("apiserver", parameters)
    }

    /// A client certificate: Kubernetes takes the user from the common name and the group from the organization.
    pub(crate) fn client(&self, file: &str, user: &str, group: Option<&str>) -> Result<Credential> {
        let mut parameters = CertificateParams::default();
        parameters.distinguished_name.push(DnType::CommonName, user);
        if let Some(group) = group {
            parameters
                .distinguished_name
                .push(DnType::OrganizationName, group);
        }
        parameters.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        self.issue(file, parameters)
    }

    /// The key that signs service account tokens: the private key, then the public one. The API server does not read
    /// the public half out of a PKCS#8 private key that is an elliptic curve's.
    pub(crate) fn service_account_key(&self) -> Result<(PathBuf, PathBuf)> {
        let key = KeyPair::generate()?;
        let (private, public) = (
            self.directory.join("service-account.key"),
            self.directory.join("service-account.pub"),
        );
        write(&private, &key.serialize_pem())?;
        write(&public, &key.public_key_pem())?;
        Ok((private, public))
    }

    /// A kubeconfig with a client certificate for this user, written to `path`.
    pub(crate) fn kubeconfig(
        &self,
        path: &Path,
        server: &str,
        user: &str,
        group: Option<&str>,
    ) -> Result<()> {
        let file = path
            .file_stem()
            .and_then(|stem| stem.to_str())
            .unwrap_or("client");
        let credential = self.client(file, user, group)?;
        // JSON is YAML, so kubectl and every client library read it.
        let content = json!({
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "localenv",
            "clusters": [{"name": "localenv", "cluster": {"server": server, "certificate-authority": self.certificate()}}],
            "users": [{"name": user, "user": {
                "client-certificate": credential.certificate,
                "client-key": credential.key,
            }}],
            "contexts": [{"name": "localenv", "context": {"cluster": "localenv", "user": user, "namespace": "default"}}],
        });
        write(path, &serde_json::to_string_pretty(&content)?)
    }

    fn issue(&self, file: &str, mut parameters: CertificateParams) -> Result<Credential> {
        parameters.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        let key = KeyPair::generate()?;
        let certificate = parameters.signed_by(&key, &self.issuer)?;
        let credential = Credential {
            certificate: self.directory.join(format!("{file}.crt")),
            key: self.directory.join(format!("{file}.key")),
        };
        write(&credential.certificate, &certificate.pem())?;
        write(&credential.key, &key.serialize_pem())?;
        Ok(credential)
    }
}

fn write(path: &Path, content: &str) -> Result<()> {
    fs::write(path, content).with_context(|| format!("cannot write {}", path.display()))
}
