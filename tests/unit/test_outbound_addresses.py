from __future__ import annotations

from ipaddress import ip_address

import pytest

from app.outbound_addresses import AllowList, host_of, is_public, parse_literal, parse_url, port_of

PRIVATE = [
    "0.0.0.0", "10.1.2.3", "100.64.0.1", "100.100.100.200", "127.0.0.1", "127.255.255.254", "168.63.129.16",
    "169.254.169.254", "172.16.0.1", "172.31.255.255", "192.0.0.8",
    "192.0.2.1", "192.88.99.1", "192.168.1.1", "198.18.0.1", "198.51.100.1",
    "203.0.113.1", "224.0.0.1", "239.255.255.250", "240.0.0.1", "255.255.255.255",
    "::", "::1", "::7f00:1", "::ffff:10.0.0.1", "::ffff:127.0.0.1", "::ffff:169.254.169.254", "64:ff9b::7f00:1",
    "64:ff9b::a9fe:a9fe", "64:ff9b:1::1", "100::1", "2001::1", "2001:0:7f00:1::1", "2001:db8::1", "2002:7f00:1::1",
    "2002:808:808::1", "2606:4700::5efe:10.0.0.1", "2606:4700::200:5efe:192.168.0.1", "3fff::1", "fc00::1", "fd00:ec2::254",
    "fe80::1", "fe80::1%eth0", "fec0::1", "ff02::1", "ff0e::1", "2606:4700::1%eth0",
]  # fmt: skip
PUBLIC = [
    "1.1.1.1", "8.8.8.8", "100.63.255.255", "172.32.0.1", "192.0.1.1", "223.255.255.255",
    "::ffff:8.8.8.8", "64:ff9b::808:808", "2606:4700:4700::1111", "2a00:1450:4001::1", "2606:4700::5efe:8.8.8.8",
]  # fmt: skip


@pytest.mark.parametrize("address", PRIVATE)
def test_addresses_off_the_public_internet_are_not_public(address: str) -> None:
    assert not is_public(ip_address(address))


@pytest.mark.parametrize("address", PUBLIC)
def test_ordinary_addresses_are_public(address: str) -> None:
    assert is_public(ip_address(address))


@pytest.mark.parametrize(
    ("host", "address"),
    [
        ("127.0.0.1", "127.0.0.1"), ("127.0.0.1.", "127.0.0.1"), ("2130706433", "127.0.0.1"), ("0x7f000001", "127.0.0.1"),
        ("0x7f.1", "127.0.0.1"), ("0X7F.1", "127.0.0.1"), ("0177.0.0.1", "127.0.0.1"), ("127.1", "127.0.0.1"),
        ("0", "0.0.0.0"),
        ("::1", "::1"), ("::ffff:7f00:1", "::ffff:127.0.0.1"),
    ],
)  # fmt: skip
def test_every_spelling_of_an_address_is_understood(host: str, address: str) -> None:
    assert parse_literal(host) == ip_address(address)


@pytest.mark.parametrize("host", ["example.com", "1and1.com", "0x.example", "face.b00c", "1.2.3.4.5", "xn--4ca.example"])
def test_names_are_not_taken_for_addresses(host: str) -> None:
    assert parse_literal(host) is None


@pytest.mark.parametrize("host", ["256.256.256.256", "99999999999", "0x", "1.2.3.400", "09.0.0.1"])
def test_numbers_that_are_no_address_are_an_error(host: str) -> None:
    with pytest.raises(ValueError, match="address"):
        parse_literal(host)


@pytest.mark.parametrize(
    "url",
    [
        "", "audio.wav", "/audio.wav", "//host/audio.wav", "http://", "http:///audio.wav", "ftp://host/a", "file:///etc/passwd",
        "gopher://host/", "data:audio/wav;base64,AAAA", "http://host:0/", "http://host:65536/", "http://host:abc/",
        "http://host:-1/",
        "http://exa mple/", "http://%31%32%37.0.0.1/", "http://[::1", "http://[::g]/", "http://host\n/",
        "http://.example/", "http://a..b/", "http://./", "http://256.1.1.1/", "http://0177.0.0.1/",
        f"http://{'a' * 64}.example/",
        f"http://{'a.' * 130}example/", "http://host/" + "a" * 70_000, "http://[fe80::1%25eth0]:x/",
    ],
)  # fmt: skip
def test_what_is_not_a_url_of_http_is_refused(url: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011  the message is never shown
        parse_url(url)


def test_host_and_port_are_read_in_ascii() -> None:
    plain, secure, explicit = (parse_url(url) for url in ("http://ä.Example/", "https://b.example", "http://[::1]:8080/x"))
    assert (host_of(plain), port_of(plain)) == ("xn--4ca.example", 80)
    assert (host_of(secure), port_of(secure)) == ("b.example", 443)
    assert (host_of(explicit), port_of(explicit)) == ("::1", 8080)


def test_what_looks_like_a_host_before_the_at_sign_is_a_user() -> None:
    assert host_of(parse_url("http://good.example\\@evil.example/")) == "evil.example"


def test_allow_list_takes_names_addresses_and_networks() -> None:
    allow = AllowList(["Files.internal", "10.0.0.7", "192.168.0.0/16", "[fd00::5]", "fd01::/16"])
    assert allow.allows_name("files.INTERNAL.")
    assert not allow.allows_name("x.files.internal")
    allowed = ("10.0.0.7", "192.168.3.4", "fd00::5", "fd01::1", "::ffff:10.0.0.7")
    assert all(allow.allows_address(ip_address(address)) for address in allowed)
    assert not any(allow.allows_address(ip_address(address)) for address in ("10.0.0.8", "fd00::6", "127.0.0.1"))


@pytest.mark.parametrize("entry", ["10.0.0.0/33", "http://host/", "a b", "", "*.internal"])
def test_an_allow_list_entry_that_means_nothing_is_an_error(entry: str) -> None:
    with pytest.raises(ValueError, match="not a host name"):
        AllowList([entry])
