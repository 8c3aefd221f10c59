import SMTP
import Testing

@Suite("xtext")
struct XTextTests {
    @Test(
        "RFC 3461 §4: plus, equals and what is not printable ASCII are +XX",
        arguments: ["", "a@b", "a+b=c", "ü \u{0}\u{7F}~!"])
    func roundTrip(_ text: String) {
        let encoded = XText.encode(text)
        #expect(encoded.utf8.allSatisfy { (0x21...0x7E).contains($0) && $0 != 0x3D })
        #expect(XText.decode(encoded.utf8) == text)
    }

    @Test("RFC 3461 §4: the example's form")
    func form() {
        #expect(XText.encode("a+b =") == "a+2Bb+20+3D")
    }

    @Test("RFC 3461 §4: what is no xtext", arguments: ["+", "+2", "+2b", "+GG", "a=b", "a b", "ü", "+FF"])
    func malformed(_ text: String) {
        #expect(XText.decode(text.utf8) == nil)
    }
}
