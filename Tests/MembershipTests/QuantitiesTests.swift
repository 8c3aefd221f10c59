import Membership
import Testing

@Suite("Quantities")
struct QuantitiesTests {
    @Test(
        "A time is a number with a unit",
        arguments: [
            ("500ms", .milliseconds(500)), ("30s", .seconds(30)), ("5m", .seconds(300)), ("36h", .seconds(129_600)),
            ("7d", .seconds(604_800)), ("0s", .zero),
        ] as [(String, Duration)])
    func durations(text: String, duration: Duration) {
        #expect(DurationText.duration(text) == duration)
        #expect(DurationText.duration(DurationText.text(duration)) == duration)
    }

    @Test(
        "What is no time is refused",
        arguments: ["", "5", "s", "-5s", "1.5h", "5 s", "5S", "99999999999999999999s", "9223372036854775807d", "５s"])
    func noDuration(text: String) {
        #expect(DurationText.duration(text) == nil)
    }

    @Test("The greatest unit without a rest is written")
    func texts() {
        #expect(DurationText.text(.seconds(90)) == "90s")
        #expect(DurationText.text(.seconds(7_200)) == "2h")
        #expect(DurationText.text(.seconds(36 * 3600)) == "36h")
        #expect(ByteSize.text(50 << 20) == "50MiB")
        #expect(ByteSize.text(1_000) == "1000")
        #expect(ByteSize.text(0) == "0")
    }

    @Test(
        "A size is a number with a binary unit or none",
        arguments: [("512", 512), ("64KiB", 65_536), ("50MiB", 52_428_800), ("2GiB", 2 << 30), ("1TiB", 1 << 40)])
    func sizes(text: String, bytes: Int) {
        #expect(ByteSize.bytes(text) == bytes)
        #expect(ByteSize.bytes(ByteSize.text(bytes)) == bytes)
    }

    @Test(
        "What is no size is refused", arguments: ["", "KiB", "-1", "1.5MiB", "10MB", "10k", "9223372036854775807KiB"])
    func noSize(text: String) {
        #expect(ByteSize.bytes(text) == nil)
    }
}

@Suite("Address ranges")
struct AddressRangeTests {
    @Test(
        "RFC 4632 §3.1, RFC 4291 §2.3: the prefix decides",
        arguments: [
            ("10.1.0.0/16", "10.1.255.255", true), ("10.1.0.0/16", "10.2.0.0", false), ("10.1.2.3", "10.1.2.3", true),
            ("10.1.2.3", "10.1.2.4", false), ("0.0.0.0/0", "192.0.2.1", true), ("0.0.0.0/0", "::1", false),
            ("192.0.2.128/25", "192.0.2.127", false), ("192.0.2.128/25", "192.0.2.200", true),
            ("2001:db8::/32", "2001:db8:ffff::1", true), ("2001:db8::/32", "2001:db9::1", false),
            ("::/0", "2001:db8::1", true), ("10.0.0.0/8", "::ffff:10.9.8.7", true), ("10.0.0.0/8", "nonsense", false),
        ])
    func contains(range: String, address: String, isInside: Bool) throws {
        #expect(try #require(AddressRange(range)).contains(address) == isInside)
    }

    @Test("Bits behind the prefix do not count, and the range is written without them")
    func canonical() {
        #expect(AddressRange("10.1.2.3/16") == AddressRange("10.1.0.0/16"))
        #expect(AddressRange("10.1.2.3/16")?.description == "10.1.0.0/16")
        #expect(AddressRange("2001:DB8:0::1/128")?.description == "2001:db8::1")
    }

    @Test(
        "What is no range is refused",
        arguments: ["", "10.1.0.0/33", "::/129", "10.1/16", "10.1.0.0/", "10.1.0.0/+8", "host", "10.1.0.0/8/8"])
    func refused(text: String) {
        #expect(AddressRange(text) == nil)
    }
}
