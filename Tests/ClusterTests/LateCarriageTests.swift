import Cluster
import Testing

@Suite("What the first owner should have carried to a site")
struct LateCarriageTests {
    @Test("What is new is the first owner's; what nobody carries is late after a minute")
    func silent() {
        let carriage = LateCarriage()
        #expect(!carriage.isLate(birth: 1_000, now: 1_060))
        #expect(carriage.isLate(birth: 1_000, now: 1_061))
        #expect(!carriage.isLate(birth: 2_000, now: 1_000), "a clock that is behind")
    }

    @Test("While the first owner catches up after an outage it has as long as the mail had waited")
    func catchingUp() {
        var carriage = LateCarriage()
        // The site was away from 0 to 600.
        for now in stride(from: Int64(600), through: 1_300, by: 10) {
            carriage.heard(at: now)
            #expect(carriage.isLate(birth: 0, now: now) == (now >= 1_200))
            #expect(carriage.isLate(birth: 400, now: now) == (now >= 800))
            // What came when the site was back.
            #expect(carriage.isLate(birth: 700, now: now) == (now > 760))
        }
    }

    @Test("A catching up that takes for ever is helped after an hour")
    func bound() {
        var carriage = LateCarriage()
        let back: Int64 = 1_000_000
        for now in stride(from: back, through: back + 3_600, by: 30) { carriage.heard(at: now) }
        #expect(!carriage.isLate(birth: 0, now: back + 3_599))
        #expect(carriage.isLate(birth: 0, now: back + 3_600))
    }

    @Test("In the long run what was missed is late after a minute, however much is carried meanwhile")
    func steady() {
        var carriage = LateCarriage()
        for now in stride(from: Int64(0), through: 100_000, by: 5) { carriage.heard(at: now) }
        #expect(!carriage.isLate(birth: 99_940, now: 100_000))
        #expect(carriage.isLate(birth: 99_939, now: 100_000))
    }

    @Test("When the first owner falls silent again, the rest is late")
    func silentAgain() {
        var carriage = LateCarriage()
        carriage.heard(at: 1_000)
        #expect(!carriage.isLate(birth: 0, now: 1_060))
        #expect(carriage.isLate(birth: 0, now: 1_061))
    }
}
