import Testing

@testable import Mail

@Suite("The sites that something has been at")
struct SitePathTests {
    @Test(
        "a path comes back from its text, names in their order", arguments: ["-", "a", "a,b", "b.x_1-2,A,0", "a,b,a"])
    func text(_ text: String) throws {
        let path = try #require(SitePath(text))
        #expect(path.text == text)
        #expect(path.sites == (text == "-" ? [] : text.split(separator: ",").map(String.init)))
    }

    @Test("\"-\" is the path of what has been nowhere, and no name")
    func origin() {
        #expect(SitePath("-") == .origin)
        #expect(SitePath.origin.text == "-" && SitePath.origin.sites.isEmpty)
        #expect(SitePath("-,a") == nil && SitePath("a,-") == nil)
    }

    @Test(
        "what has an empty, odd or hidden name in it is no path",
        arguments: ["", ",", "a,", ",a", "a,,b", "a b", ".a", "_a", "-a", "a/b", "a+b", "a:b", "a\n", "ä", "a\0", "--"])
    func malformed(text: String) {
        #expect(SitePath(text) == nil)
        #expect(!SitePath.isName(text))
    }

    @Test("a name has 64 bytes at most, a path 32 names")
    func bounds() {
        let name = String(repeating: "x", count: 64)
        #expect(SitePath.isName(name) && !SitePath.isName(name + "x"))
        #expect(SitePath(name)?.sites == [name] && SitePath(name + "x") == nil)
        let names = (0..<33).map { "s\($0)" }
        #expect(SitePath(names.prefix(32).joined(separator: ","))?.sites == Array(names.prefix(32)))
        #expect(SitePath(names.joined(separator: ",")) == nil)
    }

    @Test("a site is added behind the others, and not twice in a row")
    func adding() {
        let path = SitePath.origin.adding("a").adding("b")
        #expect(path.text == "a,b" && path.adding("b") == path && path.adding("a").text == "a,b,a")
        #expect(path.contains("a") && path.contains("b"))
        #expect(!path.contains("c") && !path.contains("A") && !path.contains("a,b") && !SitePath.origin.contains("-"))
    }

    @Test("of too many sites the first ones are forgotten, so that the path can still be told")
    func forgetting() throws {
        var path = SitePath.origin
        for number in 0..<40 { path = path.adding("s\(number)") }
        #expect(path.sites == (8..<40).map { "s\($0)" })
        #expect(!path.contains("s7") && path.contains("s8"))
        #expect(SitePath(path.text) == path)
    }
}
