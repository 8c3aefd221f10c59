package import NIOCore

/// What a storage node tells a frontend beside a client's session (`Connection.send(note:)`): how much of the client's
/// words it has answered, and perhaps the answer to a RETR that the client has yet to say.
///
/// Eight octets, `heard` and `number`, big endian, and then the answer.
package struct AnswerNote {
    /// What the client had said when all of it was answered, in octets since the maildrop was opened, modulo 2^32.
    let heard: UInt32
    /// The message whose RETR is answered; 0 without an answer.
    let number: UInt32
    /// The whole answer, from `+OK` to the final dot.
    let answer: ByteBuffer

    package static let headBytes = 8

    /// Nil if it is none.
    init?(_ note: ByteBuffer) {
        var note = note
        guard let heard = note.readInteger(as: UInt32.self), let number = note.readInteger(as: UInt32.self),
            (number > 0) == (note.readableBytes > 0)
        else { return nil }
        self.heard = heard
        self.number = number
        answer = note
    }

    /// Begins a note in `buffer`, whose answer is then written behind it.
    package static func begin(heard: UInt32, number: UInt32 = 0, in buffer: inout ByteBuffer) {
        buffer.writeMultipleIntegers(heard, number)
    }
}

/// What a client has done that a frontend could answer without the node, in its order; the node hears of it before it
/// hears the client's next words.
///
/// In a note each is five octets: what was done, and the message's number, big endian.
package enum Deed: Equatable {
    case retrieved(UInt32)
    case deleted(UInt32)

    static let bytes = 5

    func write(to note: inout ByteBuffer) {
        switch self {
        case .retrieved(let number): note.writeMultipleIntegers(UInt8(1), number)
        case .deleted(let number): note.writeMultipleIntegers(UInt8(2), number)
        }
    }

    /// All that a note tells; nil if it is no such note.
    package static func all(in note: ByteBuffer) -> [Deed]? {
        var note = note
        var deeds: [Deed] = []
        deeds.reserveCapacity(note.readableBytes / bytes)
        while note.readableBytes > 0 {
            switch note.readMultipleIntegers(as: (UInt8, UInt32).self) {
            case (1, let number)?: deeds.append(.retrieved(number))
            case (2, let number)?: deeds.append(.deleted(number))
            default: return nil
            }
        }
        return deeds
    }
}
