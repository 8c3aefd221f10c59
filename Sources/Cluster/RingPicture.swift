import Glibc

/// The ring as a picture (SVG 1.1, no scripts): outside the zones, then each node's share, inside every partition in the
/// colour of its owner, one circle per copy; beside it a legend with the loads. Pointing at a node brings it out.
package struct RingPicture {
    private let ring: Ring
    private let title: String
    private let loads: [Int]
    private let fair: [Double]
    /// Members in the order in which they stand on the circle: zone by zone.
    private let order: [Int]
    private let layout: Layout

    package static func svg(_ ring: Ring, title: String) -> String {
        RingPicture(ring, title).document()
    }

    private init(_ ring: Ring, _ title: String) {
        self.ring = ring
        self.title = title
        loads = ring.loads()
        fair = ring.fairShares()
        let members = ring.members
        let keys = members.map { (zone: $0.zone ?? "\u{10FFFF}", name: Self.naturalKey($0.name)) }
        order = members.indices.sorted { keys[$0] < keys[$1] }
        layout = Layout(nodes: members.count, replicas: ring.replicas)
    }

    /// Numbers padded with zeros, so that store-2 stands before store-10.
    private static func naturalKey(_ name: String) -> String {
        var key = ""
        var rest = name[...]
        while let first = rest.first {
            let isNumber = first.isASCII && first.isNumber
            let run = rest.prefix { ($0.isASCII && $0.isNumber) == isNumber }
            rest = rest.dropFirst(run.count)
            key += isNumber ? String(repeating: "0", count: max(0, 20 - run.count)) + run : run
        }
        return key
    }

    private func document() -> String {
        let (width, height) = (layout.width, layout.height)
        var svg = """
            <svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 \(width) \(height)" width="\(width)" height="\(height)" \
            role="img" aria-label="\(SVG.escaped(title))">
            <style>\(Self.style)</style>
            <rect width="\(width)" height="\(height)" rx="18" class="paper"/>
            <text x="44" y="62" class="title">\(SVG.escaped(title))</text>
            <text x="44" y="88" class="quiet">\(SVG.escaped(subtitle))</text>

            """
        svg += zoneArcs()
        var start = 0.0
        for (place, index) in order.enumerated() {
            let share = Double(loads[index]) / Double(ring.partitions * ring.replicas)
            svg += node(index, place, start, start + share)
            start += share
        }
        return svg + centre() + footnotes() + "</svg>\n"
    }

    private var subtitle: String {
        let copies = ring.replicas == 1 ? "one owner each" : "\(ring.replicas) owners each"
        return "epoch \(ring.epoch) · \(ring.partitions) partitions, \(copies)"
    }

    private func node(_ index: Int, _ place: Int, _ start: Double, _ end: Double) -> String {
        let colour = SVG.colour(place, of: order.count)
        let member = ring.members[index]
        let share = RingTable.percent(Double(loads[index]) / fair[index])
        let zone = member.zone.map { ", zone \($0)" } ?? ""
        let tip = "\(member.name)\(zone), weight \(member.weight): \(loads[index]) copies, \(share) of the fair share"
        var svg = "<g class=\"node\"><title>\(SVG.escaped(tip))</title>"
        svg += "<path fill=\"\(colour)\" d=\"\(SVG.ringSector(layout.shares, start, end, layout.gap))\"/>"
        svg += shareLabel(member.name, start, end)
        for copy in 0..<ring.replicas { svg += bars(index, copy, colour) }
        return svg + legendRow(index, place, colour, share) + "</g>\n"
    }

    /// All partitions of one node on one circle, as one path of short radial strokes.
    private func bars(_ index: Int, _ copy: Int, _ colour: String) -> String {
        let band = layout.partitions(copy)
        let step = max(1, ring.partitions / Layout.barsMax)
        let count = (ring.partitions + step - 1) / step
        var path = ""
        for bar in 0..<count where Int(ring.table[bar * step * ring.replicas + copy]) == index {
            let angle = (Double(bar) + 0.5) / Double(count)
            path += "M\(SVG.point(band.inner, angle))L\(SVG.point(band.outer, angle))"
        }
        let width = max(0.35, 2 * Double.pi * band.outer / Double(count) * 1.04)
        return "<path stroke=\"\(colour)\" stroke-width=\"\(SVG.number(width))\" fill=\"none\" d=\"\(path)\"/>"
    }

    private func shareLabel(_ name: String, _ start: Double, _ end: Double) -> String {
        let middle = (layout.shares.inner + layout.shares.outer) / 2
        let room = (end - start) * 2 * Double.pi * middle
        guard room > Double(name.count) * 7.4 + 12 else { return "" }
        return curvedText(name, middle, (start + end) / 2, "label")
    }

    private func zoneArcs() -> String {
        var svg = ""
        var start = 0.0
        var rest = order[...]
        while let first = rest.first {
            let zone = ring.members[first].zone
            let group = rest.prefix { ring.members[$0].zone == zone }
            rest = rest.dropFirst(group.count)
            let copies = group.reduce(0) { $0 + loads[$1] }
            let end = start + Double(copies) / Double(ring.partitions * ring.replicas)
            if let zone {
                svg += "<path class=\"zone\" d=\"\(SVG.ringSector(layout.zones, start, end, layout.zoneGap))\"/>"
                let room = (end - start) * 2 * Double.pi * layout.zoneLabels
                if room > Double(zone.count) * 8 {
                    svg += curvedText(zone, layout.zoneLabels, (start + end) / 2, "zonelabel")
                }
            }
            start = end
        }
        return svg + "\n"
    }

    /// Text along the circle's tangent; in the lower half it is turned, so that it never stands on its head.
    private func curvedText(_ text: String, _ radius: Double, _ turn: Double, _ style: String) -> String {
        let isBelow = turn > 0.25 && turn < 0.75
        let degrees = turn * 360 + (isBelow ? 180 : 0)
        let (x, y) = SVG.place(radius, turn)
        return "<text class=\"\(style)\" text-anchor=\"middle\" dominant-baseline=\"central\" transform=\"translate("
            + "\(SVG.number(x)) \(SVG.number(y))) rotate(\(SVG.number(degrees)))\">\(SVG.escaped(text))</text>"
    }

    private func legendRow(_ index: Int, _ place: Int, _ colour: String, _ share: String) -> String {
        guard let origin = layout.legendRow(place) else { return "" }
        let member = ring.members[index]
        let bar = min(1.0, Double(loads[index]) / (loads.max().map(Double.init) ?? 1)) * 92
        let detail = [member.zone, member.weight == 1 ? nil : "×\(member.weight)"].compactMap(\.self).joined(
            separator: " ")
        let (x, y) = origin
        return """
            <rect x="\(x)" y="\(y - 11)" width="13" height="13" rx="3.5" fill="\(colour)"/>\
            <text x="\(x + 22)" y="\(y)" class="row">\(SVG.escaped(member.name)) \
            <tspan class="quiet">\(SVG.escaped(detail))</tspan></text>\
            <rect x="\(x + 196)" y="\(y - 9)" width="92" height="8" rx="4" class="track"/>\
            <rect x="\(x + 196)" y="\(y - 9)" width="\(SVG.number(bar))" height="8" rx="4" fill="\(colour)"/>\
            <text x="\(x + 352)" y="\(y)" class="figure">\(loads[index])</text>
            """
    }

    private func centre() -> String {
        let (x, y) = (Layout.centre.x, Layout.centre.y)
        let nodes = ring.members.count == 1 ? "node" : "nodes"
        return """
            <text x="\(x)" y="\(y + 4)" class="big">\(ring.members.count)</text>
            <text x="\(x)" y="\(y + 30)" class="quiet" text-anchor="middle">\(nodes)</text>
            <text x="\(x)" y="\(y + 56)" class="quiet" text-anchor="middle">max/fair \(RingTable.decimal(ring.loadRatio, 3))</text>

            """
    }

    private func footnotes() -> String {
        var notes: [String] = []
        if ring.members.count > layout.legendRowsMax {
            notes.append("and \(ring.members.count - layout.legendRowsMax) more nodes")
        }
        let step = ring.partitions / Layout.barsMax
        if step > 1 { notes.append("one of \(step) partitions is drawn") }
        guard !notes.isEmpty else { return "" }
        return
            "<text x=\"\(Layout.legendX)\" y=\"\(layout.height - 34)\" class=\"quiet\">\(notes.joined(separator: " · "))</text>\n"
    }

    private static let style = """
        text{font-family:system-ui,-apple-system,"Segoe UI",Helvetica,Arial,sans-serif;fill:#26231f}\
        .paper{fill:#fbfaf6}.title{font-size:27px;font-weight:650}.quiet{font-size:14px;fill:#77726a}\
        .big{font-size:54px;font-weight:650;text-anchor:middle}.row{font-size:15px}\
        .figure{font-size:14px;fill:#55514a;text-anchor:end;font-variant-numeric:tabular-nums}\
        .label{font-size:13px;font-weight:600;fill:#fff;pointer-events:none}\
        .zone{fill:#d9d4c8}.zonelabel{font-size:14px;font-weight:600;fill:#6b665d;letter-spacing:.04em}\
        .track{fill:#ece8de}.node{transition:opacity .15s}svg:has(.node:hover) .node:not(:hover){opacity:.13}
        """
}

/// Where things stand in the picture.
private struct Layout {
    static let barsMax = 4096
    static let centre = (x: 450.0, y: 506.0)
    static let legendX = 930.0
    private static let rowHeight = 27.0
    private static let columnWidth = 384.0
    private static let legendTop = 150.0

    let height = 960.0
    let width: Double
    let zoneLabels = 396.0
    let zones = SVG.Band(inner: 374, outer: 382)
    let shares = SVG.Band(inner: 326, outer: 366)
    let gap: Double
    let zoneGap = 3.0
    let legendRowsMax: Int
    private let replicas: Int
    private let rowsPerColumn: Int

    init(nodes: Int, replicas: Int) {
        self.replicas = replicas
        gap = nodes > 200 ? 0 : nodes > 60 ? 0.8 : 2
        rowsPerColumn = Int((height - Self.legendTop - 60) / Self.rowHeight)
        let columns = min(2, (nodes + rowsPerColumn - 1) / rowsPerColumn)
        legendRowsMax = columns * rowsPerColumn
        width = Self.legendX + Double(columns) * Self.columnWidth + 10
    }

    /// The circle of the n-th copies.
    func partitions(_ copy: Int) -> SVG.Band {
        let room = 178.0
        let depth = min(76, room / Double(replicas))
        let outer = 316 - Double(copy) * depth
        return SVG.Band(inner: outer - depth + min(6, depth / 6), outer: outer)
    }

    func legendRow(_ place: Int) -> (x: Double, y: Double)? {
        guard place < legendRowsMax else { return nil }
        let (column, row) = place.quotientAndRemainder(dividingBy: rowsPerColumn)
        return (Self.legendX + Double(column) * Self.columnWidth, Self.legendTop + Double(row) * Self.rowHeight)
    }
}

/// Shapes and numbers as SVG writes them. Angles are in turns, clockwise from the top.
private enum SVG {
    struct Band {
        let inner: Double
        let outer: Double
    }

    static func place(_ radius: Double, _ turn: Double) -> (x: Double, y: Double) {
        let angle = turn * 2 * Double.pi
        return (Layout.centre.x + radius * sin(angle), Layout.centre.y - radius * cos(angle))
    }

    static func point(_ radius: Double, _ turn: Double) -> String {
        let (x, y) = place(radius, turn)
        return "\(number(x)) \(number(y))"
    }

    /// A piece of a ring; `gap` is left free between neighbours, in pixels.
    static func ringSector(_ band: Band, _ start: Double, _ end: Double, _ gap: Double) -> String {
        let span = end - start
        // A whole circle has no arc of its own: two halves are drawn.
        if span > 0.9999 {
            return ringSector(band, start, start + 0.5, 0) + ringSector(band, start + 0.5, end - 1e-6, 0)
        }
        let margin = min(gap / 2 / (2 * Double.pi * band.outer), span / 4)
        let (from, to) = (start + margin, end - margin)
        let large = to - from > 0.5 ? 1 : 0
        return
            "M\(point(band.outer, from))A\(number(band.outer)) \(number(band.outer)) 0 \(large) 1 \(point(band.outer, to))"
            + "L\(point(band.inner, to))A\(number(band.inner)) \(number(band.inner)) 0 \(large) 0 \(point(band.inner, from))Z"
    }

    static func number(_ value: Double) -> String { RingTable.decimal(value, 2) }

    /// Colours that differ as far as so many can: chosen ones for a few nodes, then steps of the golden angle.
    static func colour(_ place: Int, of count: Int) -> String {
        if count <= palette.count { return palette[place] }
        let hue = (Double(place) * 137.508).truncatingRemainder(dividingBy: 360)
        return hex(hue: hue, saturation: [0.58, 0.46, 0.66][place % 3], lightness: [0.46, 0.58, 0.38][place / 3 % 3])
    }

    private static let palette = [
        "#2f6f9f", "#d9822b", "#4c9a6a", "#b8475d", "#7a5ea8", "#c2a02c", "#3aa3a8", "#8a5a3c", "#6b7f2a", "#c86fa0",
        "#4a5a78", "#93a8c4",
    ]

    private static func hex(hue: Double, saturation: Double, lightness: Double) -> String {
        let reach = saturation * min(lightness, 1 - lightness)
        return [0.0, 8, 4].reduce("#") { text, offset in
            let sector = (offset + hue / 30).truncatingRemainder(dividingBy: 12)
            let value = lightness - reach * max(-1, min(sector - 3, 9 - sector, 1))
            let digits = String(Int((value * 255).rounded()), radix: 16)
            return text + (digits.count == 1 ? "0" : "") + digits
        }
    }

    static func escaped(_ text: String) -> String {
        text.reduce(into: "") { result, character in
            switch character {
            case "&": result += "&amp;"
            case "<": result += "&lt;"
            case ">": result += "&gt;"
            case "\"": result += "&quot;"
            default: result.append(character)
            }
        }
    }
}
