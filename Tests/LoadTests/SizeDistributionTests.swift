import Testing

@testable import Load

@Suite("Sizes and names")
struct SizeDistributionTests {
    @Test(
        "Sizes are read with their units",
        arguments: [("4KiB", 4096), ("100", 100), ("7B", 7), ("2MiB", 2 << 20), ("1K", 1024)])
    func units(text: String, octets: Int) {
        #expect(SizeDistribution(text) == .list([octets]))
    }

    @Test("A list goes by turns")
    func list() throws {
        let sizes = try #require(SizeDistribution("1,2KiB,3"))
        #expect((0..<4).map { sizes.size(of: $0, seed: 9) } == [1, 2048, 3, 1])
    }

    @Test("A range gives sizes inside it, small and large ones, the same for the same number")
    func range() throws {
        let sizes = try #require(SizeDistribution("1000..64KiB"))
        let made = (0..<2000).map { sizes.size(of: $0, seed: 1) }
        #expect(made.allSatisfy { (1000...65536).contains($0) })
        #expect(made.count { $0 < 2048 } > 100)
        #expect(made.count { $0 >= 32768 } > 100)
        #expect(made == (0..<2000).map { sizes.size(of: $0, seed: 1) })
    }

    @Test(
        "What is no size is refused",
        arguments: ["", "KiB", "-1", "4 KiB", "9..3", "1..", "2GiB", "1,,2", "99999999999999999999", "2000MiB"])
    func refused(text: String) {
        #expect(SizeDistribution(text) == nil)
    }

    @Test("A pattern with %d makes names from 0 on, by turns; without it there is one name")
    func names() {
        let users = NamePattern("user%d@example.test", count: 2)
        #expect((0..<3).map { users[$0] } == ["user0@example.test", "user1@example.test", "user0@example.test"])
        let one = NamePattern("alice@example.test", count: 5)
        #expect(one.count == 1)
        #expect(one[3] == "alice@example.test")
    }
}
