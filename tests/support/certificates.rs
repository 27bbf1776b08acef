//! A private CA, and what it issues, made by openssl.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

const NEW_KEY: &str = "-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes";

/// A private CA, whose files lie in a directory: `ca.pem` and `ca.key`.
pub struct Ca<'a>(&'a Path);

/// A certificate and its key, as files.
pub struct Issued {
    pub certificate: PathBuf,
    pub key: PathBuf,
}

impl<'a> Ca<'a> {
    pub fn new(directory: &'a Path) -> Self {
        let ca = Self(directory);
        ca.openssl(&format!(
            "req -x509 {NEW_KEY} -keyout ca.key -out ca.pem -days 2 -subj /CN=test-ca"
        ));
        ca
    }

    /// The file with its certificate.
    pub fn file(&self) -> String {
        self.0.join("ca.pem").to_str().unwrap().to_owned()
    }

    /// Issues a certificate for names such as `DNS:localhost,IP:127.0.0.1`.
    pub fn issue(&self, file: &str, names: &str) -> Issued {
        self.request(file, names);
        self.openssl(&format!(
            "x509 -req -in {file}.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 \
             -extfile {file}.names -out {file}.pem"
        ));
        self.issued(file)
    }

    /// Issues one that has expired years ago.
    pub fn issue_expired(&self, file: &str, names: &str) -> Issued {
        self.request(file, names);
        let config = "[ca]\ndefault_ca=own\n[own]\ndatabase=index\nnew_certs_dir=.\nserial=numbers\n\
            default_md=sha256\npolicy=any\n[any]\ncommonName=supplied\n";
        for (name, text) in [("ca.config", config), ("index", ""), ("numbers", "01\n")] {
            std::fs::write(self.0.join(name), text).unwrap();
        }
        self.openssl(&format!(
            "ca -batch -config ca.config -cert ca.pem -keyfile ca.key -in {file}.csr \
             -startdate 20200101000000Z -enddate 20210101000000Z -extfile {file}.names \
             -notext -out {file}.pem"
        ));
        self.issued(file)
    }

    fn request(&self, file: &str, names: &str) {
        let names = format!("subjectAltName={names}\n");
        std::fs::write(self.0.join(format!("{file}.names")), names).unwrap();
        self.openssl(&format!(
            "req {NEW_KEY} -keyout {file}.key -out {file}.csr -subj /CN={file}"
        ));
    }

    fn issued(&self, file: &str) -> Issued {
        Issued {
            certificate: self.0.join(format!("{file}.pem")),
            key: self.0.join(format!("{file}.key")),
        }
    }

    fn openssl(&self, arguments: &str) {
        let mut command = Command::new("openssl");
        command
            .args(arguments.split_whitespace())
            .current_dir(self.0);
        let output = command.output().unwrap_or_else(|error| {
            panic!("openssl cannot be started ({error}): install Debian's package openssl")
        });
        assert!(output.status.success(), "openssl {arguments}: {output:?}");
    }
}

/// A private CA, and a certificate from it for `localhost`: `server.pem` and `server.key`.
pub fn make_certificates(directory: &Path) {
    Ca::new(directory).issue("server", "DNS:localhost,IP:127.0.0.1");
}
