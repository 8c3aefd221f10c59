import Testing

@testable import Mail

@Suite("Message names")
struct MessageNameTests {
    @Test("a minted identity is one, whatever the origin is called")
    func minted() {
        for origin in ["smtp-a", "a/b:c,d", "ö", "", String(repeating: "x", count: 300), ".", " "] {
            let name = MessageIdentity(
                seconds: .max, micros: 999_999, process: .max, counter: .max, random: .max, origin: origin)
            #expect(MessageIdentity(name.text) == name, "\(origin)")
        }
    }

    @Test("RFC 1939 §7: an identity is 1 to 70 characters of 0x21 to 0x7E")
    func uidl() {
        #expect(MessageIdentity(String(repeating: "x", count: 70)) != nil)
        for bad in ["", String(repeating: "x", count: 71), "a b", "a,b", "a:b", "a/b", ".a", "ä", "a\u{7F}"] {
            #expect(MessageIdentity(bad) == nil, "\(bad)")
        }
    }

    @Test("names differ by counter when clocks agree")
    func distinct() {
        let names = (0..<100).map {
            MessageIdentity(seconds: 1, micros: 2, process: 3, counter: $0, random: 4, origin: "x")
        }
        #expect(Set(names).count == 100)
    }

    @Test("a file name says the identity, both sizes and the flags")
    func fileName() throws {
        let name = try #require(MessageFileName(fileName: "1.M2P3.host,S=10,W=12:2,FS"))
        #expect(name.identity?.text == "1.M2P3.host")
        #expect(name.diskOctets == 10)
        #expect(name.wireOctets == 12)
        #expect(name.info == "2,FS")
        #expect(name.text == "1.M2P3.host,S=10,W=12")
    }

    @Test("a file name says the checksum and the content's digest, as they are written and not otherwise")
    func sums() throws {
        let digest = ContentDigest(high: 0x0123_4567_89AB_CDEF, low: 0xFEDC_BA98_7654_3210)
        let text = "1.M2P3Q4R5.host,S=10,W=12,C=00000000deadbeef,D=\(digest)"
        let name = try #require(MessageFileName(fileName: text + ":2,S"))
        #expect(name.checksum == 0xDEAD_BEEF)
        #expect(name.digest == digest)
        #expect(name.text == text)
        for bad in ["C=deadbeef", "C=00000000DEADBEEF", "C=g0000000deadbeef", "D=", "D=\(digest)x", "D=+\(digest)"] {
            let name = try #require(MessageFileName(fileName: "1.x.h,S=1,W=2,\(bad)"))
            #expect(name.checksum == nil && name.digest == nil, "\(bad)")
        }
    }

    @Test("a content's digest is 22 characters of base64url (RFC 4648 §5), and reads back")
    func digests() {
        #expect(ContentDigest(high: 0, low: 0).description == "AAAAAAAAAAAAAAAAAAAAAA")
        #expect(ContentDigest(high: .max, low: .max).description == "_____________________w")
        // The bytes 00 01 02 ... 0f.
        let counted = ContentDigest(high: 0x0001_0203_0405_0607, low: 0x0809_0A0B_0C0D_0E0F)
        #expect(counted.description == "AAECAwQFBgcICQoLDA0ODw")
        for bit in 0..<128 {
            let digest = ContentDigest(
                high: bit >= 64 ? 1 << UInt64(bit - 64) : 0, low: bit < 64 ? 1 << UInt64(bit) : 0)
            #expect(ContentDigest(digest.description.utf8) == digest, "\(bit)")
        }
        for bad in [
            "", "AAAAAAAAAAAAAAAAAAAAA", "AAAAAAAAAAAAAAAAAAAAAB", "AAAAAAAAAAAAAAAAAAAAAA=", "AAAAAAAAAAAAAAAAAAAA/A",
        ] {
            #expect(ContentDigest(bad.utf8) == nil, "\(bad)")
        }
    }

    @Test("a tombstone's line is an identity, perhaps with a digest behind it, and nothing else")
    func tombstoneLines() {
        let digest = ContentDigest(high: 1, low: 2)
        for known in [digest, nil] {
            var line: [UInt8] = []
            TombstoneLine.append("1.x.h".utf8, known, to: &line)
            #expect(line.last == UInt8(ascii: "\n"))
            let taken = TombstoneLine(line.dropLast())
            #expect(taken.identity.elementsEqual("1.x.h".utf8))
            #expect(taken.digest == known)
            #expect(TombstoneLine.isValid(line.dropLast()))
        }
        for bad in [
            "", ",D=\(digest)", "1.x.h,", "1.x.h,D=", "1.x.h,D=\(digest),", "1.x.h,E=\(digest)", "a b,D=\(digest)",
        ] {
            #expect(!TombstoneLine.isValid(Array(bad.utf8)[...]), "\(bad)")
        }
    }

    @Test("names of other tools are taken as they are")
    func foreign() throws {
        let plain = try #require(MessageFileName(fileName: "1204680122.27c448.mx"))
        #expect(plain.diskOctets == nil && plain.wireOctets == nil && plain.info == "")
        let odd = try #require(MessageFileName(fileName: "x,S=abc,W=99999999999999999999999:2,"))
        #expect(odd.diskOctets == nil && odd.wireOctets == nil)
        let long = try #require(MessageFileName(fileName: String(repeating: "y", count: 100)))
        #expect(long.identity == nil)
    }

    @Test("hidden files, empty names and names without a stem are no messages", arguments: ["", ".x", ",S=1", ":2,S"])
    func noMessages(name: String) {
        #expect(MessageFileName(fileName: name) == nil)
    }
}
