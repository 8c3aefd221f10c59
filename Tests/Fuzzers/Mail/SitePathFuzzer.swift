import Mail

@testable import Maildirs

/// Paths of sites from any bytes, as text and in the names of files that wait for a site: what is taken is names and comes
/// back, no file's name gets too long, and without its path it is what it was.
func fuzzSitePath(_ input: UnsafeRawBufferPointer) {
    let text = String(decoding: input, as: UTF8.self)
    if let path = SitePath(text) {
        precondition(path.text == text, "\(text) came back as \(path.text)")
        check(path)
        spool("1700000000.M1P2Q3R4.front,S=1,W=2", path)
    }
    let name = Array(input)
    let told = SiteSpoolName.path(in: name)
    check(told)
    // The first line is a name, the second a path.
    let lines = text.split(separator: "\n", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
    if lines.count == 2, let path = SitePath(lines[1]) { spool(lines[0], path) }
    let bare = SiteSpoolName.mailboxName(of: name)
    precondition(SiteSpoolName.path(in: bare) == .origin, "\(text) has a path behind its path")
    precondition(SiteSpoolName.mailboxName(of: bare) == bare, "\(text) has two names in its mailbox")
}

private func check(_ path: SitePath) {
    precondition(path.sites.count <= 32 && path.sites.allSatisfy { SitePath.isName($0) }, "\(path)")
    precondition(path.sites.allSatisfy { path.contains($0) }, "\(path)")
    precondition(SitePath(path.text) == path, "\(path) is lost")
    let longer = path.adding("x")
    precondition(longer.sites.last == "x" && longer.sites.count <= 32, "\(longer)")
    precondition(SitePath(longer.text) == longer, "\(longer) is lost")
    precondition(
        SpoolTarget(site: path.sites.first ?? "x").flatMap { SpoolTarget(folder: $0.folder) } != nil, "\(path)")
}

private func spool(_ name: String, _ path: SitePath) {
    let spooled = SiteSpoolName.make(name, at: path)
    precondition(spooled == name || spooled.utf8.count <= 255, "a name of \(spooled.utf8.count) bytes")
    guard !name.isEmpty, !name.utf8.contains(where: { $0 == UInt8(ascii: ":") || $0 == UInt8(ascii: ",") }) else {
        return
    }
    let bytes = Array(spooled.utf8)
    precondition(SiteSpoolName.mailboxName(of: bytes) == Array(name.utf8), "\(name) is lost in \(spooled)")
    let told = SiteSpoolName.path(in: bytes)
    precondition(told.sites.allSatisfy { path.contains($0) }, "\(spooled) was not at \(told)")
    if spooled.utf8.count < 180 { precondition(told == path, "\(path) came back as \(told)") }
}
