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
