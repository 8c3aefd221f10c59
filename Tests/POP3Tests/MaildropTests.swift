import SeededRandom
import Testing

@testable import POP3

@Suite struct MaildropTests {
    @Test("RFC 1939 §5: a mark takes a message out of the count and the octets, RSET brings it back")
    func marks() {
        var maildrop = Maildrop(entries(130))
        for position in [0, 63, 64, 129] { maildrop.delete(position) }
        #expect(maildrop.count == 126)
        #expect(maildrop.octets == (1...130).reduce(0) { $0 + $1 * 100 } - 100 - 6400 - 6500 - 13000)
        #expect(maildrop.deleted == [0, 63, 64, 129])
        #expect(maildrop.isDeleted(63) && !maildrop.isDeleted(62))
        maildrop.reset()
        #expect(maildrop.count == 130 && maildrop.deleted.isEmpty)
    }

    @Test("a message marked twice counts once")
    func twice() {
        var maildrop = Maildrop(entries(2))
        maildrop.delete(1)
        maildrop.delete(1)
        #expect(maildrop.count == 1 && maildrop.octets == 100)
    }

    @Test("the messages left are found whichever are marked")
    func firstKept() {
        var random = SplitMix(seed: 7)
        for count in [0, 1, 63, 64, 65, 128, 200] {
            var maildrop = Maildrop(entries(count))
            for density in [1, 2, 50] {
                for position in 0..<count where Int.random(in: 0..<density, using: &random) == 0 || density == 50 {
                    if density != 50 || position != count / 2 { maildrop.delete(position) }
                }
                var kept: [Int] = []
                while let next = maildrop.firstKept(from: kept.last.map { $0 + 1 } ?? 0) { kept.append(next) }
                #expect(kept == (0..<count).filter { !maildrop.isDeleted($0) })
                #expect(kept.count == maildrop.count)
                maildrop.reset()
            }
        }
    }

    @Test("numbers outside 1 to n are no message, however large")
    func numbers() {
        let maildrop = Maildrop(entries(2))
        #expect(maildrop.position(1) == 0 && maildrop.position(2) == 1)
        for number in [0, 3, -1, Int.max, Int.min] { #expect(maildrop.position(number) == nil) }
        #expect(Maildrop([]).position(1) == nil)
    }

    @Test("sizes that no number holds do not trap")
    func hugeSizes() {
        var maildrop = Maildrop([MaildropEntry(uidl: "a", octets: .max), MaildropEntry(uidl: "b", octets: .max)])
        maildrop.delete(0)
        #expect(maildrop.count == 1)
    }
}
