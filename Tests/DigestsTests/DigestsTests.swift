import Digests
import Testing

@Suite struct SHA256Tests {
    @Test(
        "FIPS 180-4: SHA-256 of the standard's examples",
        arguments: [
            ("", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"),
            ("abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"),
            (
                "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
                "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"
            ),
        ])
    func examples(text: String, digest: String) {
        #expect(Hex.encode(SHA256.hash(Array(text.utf8))) == digest)
    }

    @Test("A digest of pieces is the digest of the whole, wherever it is cut")
    func pieces() {
        let bytes = (0..<300).map { UInt8(truncatingIfNeeded: $0 &* 31) }
        for cut in 0...bytes.count {
            var running = RunningSHA256()
            bytes.withUnsafeBytes {
                running.update(UnsafeRawBufferPointer(rebasing: $0[..<cut]))
                running.update(UnsafeRawBufferPointer(rebasing: $0[cut...]))
            }
            #expect(running.finish() == SHA256.hash(bytes))
        }
    }
}

@Suite struct HMACTests {
    @Test(
        "RFC 4231 §4: HMAC-SHA-256 test cases",
        arguments: [
            (
                [UInt8](repeating: 0x0B, count: 20), Array("Hi There".utf8),
                "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7"
            ),
            (
                Array("Jefe".utf8), Array("what do ya want for nothing?".utf8),
                "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
            ),
            (
                [UInt8](repeating: 0xAA, count: 20), [UInt8](repeating: 0xDD, count: 50),
                "773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe"
            ),
            (
                [UInt8](repeating: 0xAA, count: 131),
                Array("Test Using Larger Than Block-Size Key - Hash Key First".utf8),
                "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54"
            ),
        ])
    func vectors(key: [UInt8], message: [UInt8], code: String) {
        #expect(Hex.encode(HMACSHA256.authenticate(key: key, message: message)) == code)
    }

    @Test("RFC 2104 §3: a key shorter than a block is filled with zeros, the empty key too")
    func emptyKey() {
        let zeros = [UInt8](repeating: 0, count: 64)
        #expect(
            HMACSHA256.authenticate(key: [], message: []) == HMACSHA256.authenticate(key: zeros, message: []))
    }
}

@Suite struct PBKDF2Tests {
    @Test("RFC 7914 §11: PBKDF2-HMAC-SHA-256 with one iteration")
    func once() {
        let key = PBKDF2.sha256(password: Array("passwd".utf8), salt: Array("salt".utf8), iterations: 1, length: 64)
        #expect(
            Hex.encode(key) == "55ac046e56e3089fec1691c22544b605f94185216dde0465e68b9d57c20dacbc"
                + "49ca9cccf179b645991664b39d77ef317c71b845b1e30bd509112041d3a19783")
    }

    @Test("RFC 7914 §11: PBKDF2-HMAC-SHA-256 with 80,000 iterations")
    func manyTimes() {
        let key = PBKDF2.sha256(
            password: Array("Password".utf8), salt: Array("NaCl".utf8), iterations: 80000, length: 64)
        #expect(
            Hex.encode(key) == "4ddcd8f60b98be21830cee5ef22701f9641a4418d04c0414aeff08876b34ab56"
                + "a1d425a1225833549adb841b51c9b3176a272bdebba1d078478f62b397f33c8d")
    }

    @Test("An empty password and an empty salt are keys like others")
    func empty() {
        let key = PBKDF2.sha256(password: [], salt: [], iterations: 1, length: 32)
        // Hi() with one iteration is HMAC(password, salt + INT(1)) (RFC 5802 §2.2).
        #expect(key == HMACSHA256.authenticate(key: [], message: [0, 0, 0, 1]))
    }
}

@Suite struct SmallDigestsTests {
    @Test(
        "RFC 1321 §A.5: the MD5 test suite",
        arguments: [
            ("", "d41d8cd98f00b204e9800998ecf8427e"), ("a", "0cc175b9c0f1b6a831c399e269772661"),
            ("message digest", "f96b697d7cb7938d525a2f31aaf161d0"),
        ])
    func md5(text: String, digest: String) {
        #expect(MD5.hash(Array(text.utf8)).map { Hex.encode($0) } == digest)
    }

    @Test("RFC 4648 §10: hexadecimal there and back")
    func hex() {
        #expect(Hex.encode(Array("foobar".utf8)) == "666f6f626172")
        #expect(Hex.decode("666F6f626172") == Array("foobar".utf8))
        #expect(Hex.decode("") == [])
        #expect(Hex.decode("6") == nil)
        #expect(Hex.decode("6g") == nil)
        for byte in UInt8.min...UInt8.max { #expect(Hex.decode(Hex.encode([byte])) == [byte]) }
    }

    @Test("Bytes are equal only if all are, and as many")
    func equality() {
        #expect(constantTimeEqual([], []))
        #expect(constantTimeEqual([1, 2, 3], [1, 2, 3]))
        #expect(!constantTimeEqual([1, 2, 3], [1, 2, 4]))
        #expect(!constantTimeEqual([1, 2, 3], [1, 2]))
        #expect(!constantTimeEqual([], [0]))
    }

    @Test("Random bytes come as many as asked for, and differ")
    func random() {
        #expect(SecureRandom.bytes(0) == [])
        #expect(SecureRandom.bytes(16).count == 16)
        #expect(SecureRandom.bytes(16) != SecureRandom.bytes(16))
    }
}
