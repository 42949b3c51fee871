"""One authority for a cluster, a certificate for each component, and kubeconfigs."""

from __future__ import annotations

import base64
import ipaddress
import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from .layout import API_SERVICE_IP, NODE_IP, NODE_NAME

VALID_FOR = timedelta(days=3650)
# A node whose clock is a little behind must not find a certificate that is not valid yet.
CLOCK_SKEW = timedelta(hours=1)
API_NAMES = ("kubernetes", "kubernetes.default", "kubernetes.default.svc", "localhost")


@dataclass(frozen=True)
class Component:
    """Who a certificate is for: `organization` is the group that Kubernetes sees, `user` the user."""

    file: str
    user: str
    organization: str | None = None
    names: Sequence[str] = ()
    addresses: Sequence[str] = ()


COMPONENTS = (
    Component("apiserver", "kube-apiserver", names=API_NAMES, addresses=(API_SERVICE_IP, "127.0.0.1", NODE_IP)),
    Component("admin", "admin", "system:masters"),
    Component("apiserver-kubelet", "apiserver-kubelet", "system:masters"),
    Component("controller-manager", "system:kube-controller-manager"),
    Component("scheduler", "system:kube-scheduler"),
    Component("kubelet", f"system:node:{NODE_NAME}", "system:nodes", names=(NODE_NAME,), addresses=(NODE_IP,)),
    Component("proxy", "system:kube-proxy"),
)
# Who reaches the API server by a kubeconfig beside its certificate; admin's lies elsewhere.
CLIENTS = ("controller-manager", "scheduler", "kubelet", "proxy")


class Pki:
    """The keys and certificates in one directory; what is there is kept."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    def crt(self, name: str) -> Path:
        return self.directory / f"{name}.crt"

    def key(self, name: str) -> Path:
        return self.directory / f"{name}.key"

    def client_kubeconfig(self, name: str) -> Path:
        return self.directory / f"{name}.kubeconfig"

    def ensure(self, server: str, admin_kubeconfig: Path) -> None:
        """Make what is missing; kubeconfigs are written anew, because the server's port may have changed."""
        authority_key, authority = self._authority()
        for component in COMPONENTS:
            if not self.crt(component.file).exists():
                self._issue(component, authority_key, authority)
        if not self.key("service-accounts").exists():
            _write_key(self.key("service-accounts"), ec.generate_private_key(ec.SECP256R1()))
        for client in CLIENTS:
            self._kubeconfig(self.client_kubeconfig(client), client, server)
        self._kubeconfig(admin_kubeconfig, "admin", server)

    def _authority(self) -> tuple[ec.EllipticCurvePrivateKey, x509.Certificate]:
        if self.crt("ca").exists():
            key = serialization.load_pem_private_key(self.key("ca").read_bytes(), None)
            assert isinstance(key, ec.EllipticCurvePrivateKey)
            return key, x509.load_pem_x509_certificate(self.crt("ca").read_bytes())
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "cluster-ca")])
        builder = _builder(name, name, key.public_key())
        builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        builder = builder.add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        builder = builder.add_extension(_key_usage(signs_certificates=True), critical=True)
        certificate = builder.sign(key, hashes.SHA256())
        _write_key(self.key("ca"), key)
        self.crt("ca").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
        return key, certificate

    def _issue(self, who: Component, authority_key: ec.EllipticCurvePrivateKey, authority: x509.Certificate) -> None:
        key = ec.generate_private_key(ec.SECP256R1())
        subject = [x509.NameAttribute(NameOID.COMMON_NAME, who.user)]
        if who.organization:
            subject.append(x509.NameAttribute(NameOID.ORGANIZATION_NAME, who.organization))
        builder = _builder(x509.Name(subject), authority.subject, key.public_key())
        builder = builder.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        builder = builder.add_extension(_key_usage(signs_certificates=False), critical=True)
        usages = [ExtendedKeyUsageOID.CLIENT_AUTH, ExtendedKeyUsageOID.SERVER_AUTH]
        builder = builder.add_extension(x509.ExtendedKeyUsage(usages), critical=False)
        others: list[x509.GeneralName] = [x509.DNSName(name) for name in who.names]
        others += [x509.IPAddress(ipaddress.ip_address(address)) for address in who.addresses]
        if others:
            builder = builder.add_extension(x509.SubjectAlternativeName(others), critical=False)
        identifier = x509.AuthorityKeyIdentifier.from_issuer_public_key(authority_key.public_key())
        certificate = builder.add_extension(identifier, critical=False).sign(authority_key, hashes.SHA256())
        _write_key(self.key(who.file), key)
        self.crt(who.file).write_bytes(certificate.public_bytes(serialization.Encoding.PEM))

    def _kubeconfig(self, path: Path, client: str, server: str) -> None:
        def inline(file: Path) -> str:
            return base64.b64encode(file.read_bytes()).decode()

        user = {
            "client-certificate-data": inline(self.crt(client)),
            "client-key-data": inline(self.key(client)),
        }
        config = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [
                {
                    "name": "scratch",
                    "cluster": {"server": server, "certificate-authority-data": inline(self.crt("ca"))},
                }
            ],
            "users": [{"name": client, "user": user}],
            "contexts": [{"name": "scratch", "context": {"cluster": "scratch", "user": client}}],
            "current-context": "scratch",
        }
        _write_private(path, json.dumps(config, indent=1).encode())  # JSON is YAML


def _builder(subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - CLOCK_SKEW)
        .not_valid_after(now + VALID_FOR)
    )


def _key_usage(signs_certificates: bool) -> x509.KeyUsage:
    """RFC 5280, 4.2.1.3; Python 3.13 refuses an authority without it (VERIFY_X509_STRICT)."""
    return x509.KeyUsage(
        digital_signature=True,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        encipher_only=False,
        decipher_only=False,
    )


def _write_key(path: Path, key: ec.EllipticCurvePrivateKey) -> None:
    form = serialization.PrivateFormat.TraditionalOpenSSL
    _write_private(path, key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption()))


def _write_private(path: Path, content: bytes) -> None:
    if path.exists() and path.read_bytes() == content:
        return  # others may be reading it
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
