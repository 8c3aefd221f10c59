extension [UInt8] {
    /// Puts a text's UTF-8 behind what is there, in one copy.
    package mutating func append(utf8 text: String) {
        var text = text
        text.withUTF8 { append(contentsOf: $0) }
    }
}

extension String {
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
