extension [UInt8] {
    /// Puts a text's UTF-8 behind what is there, in one copy.
    package mutating func append(utf8 text: String) {
        var text = text
        text.withUTF8 { append(contentsOf: $0) }
    }

    /// Puts a number's digits behind what is there.
    package mutating func append(decimal number: Int) {
        if number < 10 { return number < 0 ? append(utf8: String(number)) : append(UInt8(ascii: "0") + UInt8(number)) }
        append(decimal: number / 10)
        append(UInt8(ascii: "0") + UInt8(number % 10))
    }
}

extension String {
    /// Whether all the bytes of its UTF-8 are such.
    @inlinable
    package func hasOnly(_ isSuch: (UInt8) -> Bool) -> Bool {
        utf8.withContiguousStorageIfAvailable { $0.allSatisfy(isSuch) } ?? utf8.allSatisfy(isSuch)
    }

    /// The text that the bytes are in UTF-8; nil if they are not.
    package init?(utf8 bytes: UnsafeRawBufferPointer) {
        if bytes.allSatisfy({ $0 < 0x80 }) {
            self.init(decoding: bytes, as: UTF8.self)
        } else {
            self.init(validating: bytes, as: UTF8.self)
        }
    }

    /// Three texts, one behind the other, in one copy.
    init(_ first: String, _ second: String, _ third: String) {
        var texts = (first, second, third)
        self = texts.0.withUTF8 { first in
            texts.1.withUTF8 { second in
                texts.2.withUTF8 { third in
                    String(unsafeUninitializedCapacity: first.count + second.count + third.count) { room in
                        var end = room.update(fromContentsOf: first)
                        end = room[end...].update(fromContentsOf: second)
                        return room[end...].update(fromContentsOf: third)
                    }
                }
            }
        }
    }
}
