"""The authority of one cluster, the certificates it signs by openssl, and kubeconfigs that carry them."""

import json
import pathlib
import subprocess


class Authority:
    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.certificate = self.folder / "ca.crt"
        self.key("ca")
        self.openssl(
            "req", "-x509", "-new", "-key", "ca.key", "-days", "30", "-subj", "/CN=stepdown-test", "-out", "ca.crt",
            "-addext", "basicConstraints=critical,CA:TRUE", "-addext", "keyUsage=critical,keyCertSign,cRLSign",
        )

    def openssl(self, *arguments):
        subprocess.run(["openssl", *arguments], cwd=self.folder, check=True, capture_output=True)

    def key(self, name):
        self.openssl("ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", f"{name}.key")

    def sign(self, name, subject, names=(), usage="clientAuth"):
        """NAME.key and NAME.crt; `names` such as DNS:localhost and IP:127.0.0.1."""
        self.key(name)
        self.openssl("req", "-new", "-key", f"{name}.key", "-subj", subject, "-out", f"{name}.csr")
        extensions = ["keyUsage=critical,digitalSignature", f"extendedKeyUsage={usage}", "basicConstraints=critical,CA:FALSE"]
        if names:
            extensions.append(f"subjectAltName={','.join(names)}")
        (self.folder / f"{name}.ext").write_text("\n".join(extensions))
        self.openssl(
            "x509", "-req", "-in", f"{name}.csr", "-CA", "ca.crt", "-CAkey", "ca.key", "-CAcreateserial", "-days", "30",
            "-extfile", f"{name}.ext", "-out", f"{name}.crt",
        )

    def token_keys(self):
        """The pair that ServiceAccount tokens are signed and checked with."""
        self.key("accounts")
        self.openssl("ec", "-in", "accounts.key", "-pubout", "-out", "accounts.pub")

    def kubeconfig(self, path, server, user=None, token=None):
        """For the client certificate of `user`, or for a token."""
        identity = {"token": token} if token else {
            "client-certificate": str(self.folder / f"{user}.crt"), "client-key": str(self.folder / f"{user}.key")}
        path = pathlib.Path(path)
        path.write_text(json.dumps({
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "test", "cluster": {"server": server, "certificate-authority": str(self.certificate)}}],
            "users": [{"name": "test", "user": identity}],
            "contexts": [{"name": "test", "context": {"cluster": "test", "user": "test"}}],
            "current-context": "test",
        }))
        path.chmod(0o600)
        return path
