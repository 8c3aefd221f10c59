import SASL
import Testing

@Suite struct Base64Tests {
    @Test(
        "RFC 4648 §10: the test vectors, there and back",
        arguments: [
            ("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foob", "Zm9vYg=="), ("fooba", "Zm9vYmE="),
            ("foobar", "Zm9vYmFy"),
        ])
    func vectors(text: String, code: String) {
        #expect(Base64.encode(Array(text.utf8)) == code)
        #expect(Base64.decode(code.utf8) == Array(text.utf8))
    }

    @Test(
        "RFC 4648 §3: what an encoder does not make is refused",
        arguments: [
            "Z", "Zg", "Zg=", "Zg===", "Zm8", "Zm9v=", "=", "====", "Z===", "Zg==Zg==", "Z g=", "Zg==\n", "Zh==",
            "Zm9=", "Zm-_", "=Zg=", "Zg=A", "Zé==",
        ])
    func strict(code: String) {
        #expect(Base64.decode(code.utf8) == nil)
    }

    @Test("All bytes, at every length and place, come back")
    func everything() {
        for length in 0..<20 {
            for start in UInt8.min...UInt8.max {
                let bytes = (0..<length).map { start &+ UInt8($0 * 7) }
                #expect(Base64.decode(Base64.encode(bytes).utf8) == bytes)
            }
        }
    }

    @Test("There is one text for one value: what is decoded encodes to the same text")
    func canonical() {
        var random = SystemRandomNumberGenerator()
        let alphabet = Array("ABCDwxyz0189+/==".utf8)
        for _ in 0..<20_000 {
            let text = (0..<Int.random(in: 0...8, using: &random)).map { _ in alphabet.randomElement() ?? 0 }
            guard let bytes = Base64.decode(text) else { continue }
            #expect(Array(Base64.encode(bytes).utf8) == text)
        }
    }
}
