import pytest

from tests.unit.domain.text.finders.reading import labels, smart


@pytest.mark.parametrize(
    ("spoken", "written"),
    [
        ("john dot smith at gmail dot com", "john.smith@gmail.com"),
        ("My email is john smith at gmail dot com.", "My email is johnsmith@gmail.com."),
        ("write to j o h n at example dot co dot uk please", "write to john@example.co.uk please"),
        ("john underscore smith twenty two at yahoo dot com", "john_smith22@yahoo.com"),
        ("info dash desk at my dash shop dot de", "info-desk@my-shop.de"),
        ("john.smith at gmail.com", "john.smith@gmail.com"),
        ("Mail John.Smith@gmail.com, please.", "Mail John.Smith@gmail.com, please."),
        ("support at my little company dot com", "support@mylittlecompany.com"),
    ],
)
def test_mail_addresses_are_written(spoken: str, written: str) -> None:
    assert smart(spoken) == written
    assert labels(spoken) == ["EMAIL_ADDRESS"]


@pytest.mark.parametrize(
    ("spoken", "written"),
    [
        ("double you double you double you dot example dot com", "www.example.com"),
        ("go to w w w dot example dot com slash products", "go to www.example.com/products"),
        ("h t t p s colon slash slash my dash site dot io", "https://my-site.io"),
        ("http colon slash slash example dot org", "http://example.org"),
        ("look at example dot com", "look at example.com"),
        ("Visit Example.com/Page now", "Visit Example.com/Page now"),
        ("a four u dot net is it", "a4u.net is it"),
        ("we love bbc dot co dot uk", "we love bbc.co.uk"),
    ],
)
def test_web_addresses_are_written(spoken: str, written: str) -> None:
    assert smart(spoken) == written
    assert labels(spoken) == ["URL"]


@pytest.mark.parametrize(
    ("spoken", "written"),
    [
        ("one nine two dot one six eight dot one dot one", "192.168.1.1"),
        ("one ninety two dot one sixty eight dot zero dot one", "192.168.0.1"),
        ("one ninety two point one sixty eight point zero point one", "192.168.0.1"),
        ("the server is ten dot oh dot oh dot one", "the server is 10.0.0.1"),
        ("ping 192.168.0.1, please", "ping 192.168.0.1, please"),
        ("it is fe80::1:2:3", "it is fe80::1:2:3"),
    ],
)
def test_internet_protocol_addresses_are_written(spoken: str, written: str) -> None:
    assert smart(spoken) == written
    assert labels(spoken) == ["IP_ADDRESS"]


@pytest.mark.parametrize(
    "text",
    [
        "the dot com boom",
        "a polka dot in the middle",
        "meet me at my place",
        "we arrive at dot",
        "that is it. Com is no word",
        "look at me at home",
        "version 1.2.3 of it",
    ],
)
def test_other_dots_and_ats_stay(text: str) -> None:
    assert smart(text) == text
    assert labels(text) == []
