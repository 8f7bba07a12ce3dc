extension Report {
    /// The style sheet. The palette keeps its order of lightness for readers with any colour vision; dashes tell curves apart
    /// where colours do not.
    static let style: Markup = """
        :root{color-scheme:light dark;\
        --paper:#fff;--ink:#16191d;--soft:#59616b;--hair:#e3e6ea;--tint:#f5f6f8;--accent:#0b5fa5;\
        --c0:#0b5fa5;--c1:#d9730d;--c2:#1a9a6c;--c3:#6d1f52;--c4:#5d510a;--c5:#7d8790;\
        --sans:Inter,ui-sans-serif,system-ui,-apple-system,"Segoe UI",Roboto,"Helvetica Neue","Liberation Sans",Arial,sans-serif;\
        --mono:ui-monospace,"SF Mono",Menlo,Consolas,"Liberation Mono","DejaVu Sans Mono",monospace}
        @media (prefers-color-scheme:dark){:root{\
        --paper:#0f1216;--ink:#e7eaee;--soft:#98a2ae;--hair:#272d35;--tint:#171b21;--accent:#7ab8f5;\
        --c0:#6cb2f7;--c1:#ff9a5c;--c2:#bfead3;--c3:#f0408c;--c4:#e7dd2f;--c5:#95a0b9}}
        *{box-sizing:border-box}
        html{background:var(--paper);color:var(--ink);font:16px/1.6 var(--sans);-webkit-text-size-adjust:100%}
        body{margin:0}
        main,footer{max-width:1080px;margin:0 auto;padding:0 40px}
        header{padding:56px 0 0}
        h1,h2,h3,p,dl,dd,figure,blockquote,ul{margin:0;padding:0}
        h1{font-size:40px;line-height:1.15;font-weight:650;letter-spacing:-.022em;overflow-wrap:anywhere;text-wrap:balance}
        h2{font-size:22px;line-height:1.3;font-weight:620;letter-spacing:-.012em}
        h3{font-size:13px;font-weight:600;color:var(--soft);margin-bottom:10px}
        .overline{font-size:13px;color:var(--soft);margin-bottom:12px}
        .lede{font-size:18px;line-height:1.55;color:var(--soft);margin-top:16px;max-width:42em;overflow-wrap:anywhere}
        section{margin-top:68px}
        section>p{color:var(--soft);max-width:44em;margin-top:8px;text-wrap:pretty}
        section>figure+p{margin-top:36px}
        .overview{margin-top:36px}
        .keys{display:grid;grid-template-columns:repeat(6,1fr);border-top:1px solid var(--hair);border-bottom:1px solid var(--hair)}
        .keys>div{padding:22px 16px 20px 0}
        .keys dt{font-size:13px;color:var(--soft)}
        .keys dd{font-size:26px;line-height:1.3;font-weight:560;letter-spacing:-.02em;font-variant-numeric:tabular-nums;margin-top:4px}
        .note{display:block;font-size:12.5px;line-height:1.45;font-weight:400;letter-spacing:0;color:var(--soft);margin-top:4px}
        .chart{margin-top:28px}
        .frame{padding:46px 20px 56px 44px}
        .two .frame{padding-right:44px}
        .plot{display:block;width:100%;height:clamp(260px,34vw,400px);overflow:visible}
        .plot text{font:12px var(--sans);fill:var(--soft);font-variant-numeric:tabular-nums}
        .plot .axis{font-weight:500}
        .tick.y,.axis.x,.axis.y2{text-anchor:end}.tick.x{text-anchor:middle}
        .grid{stroke:var(--hair);stroke-width:1}
        .base{stroke:var(--soft);stroke-width:1}
        .mark{fill:var(--soft)}
        .line,.raw,.band,.legend path{fill:none;vector-effect:non-scaling-stroke}
        .line{stroke-width:2.25;stroke-linejoin:round;stroke-linecap:round}
        .raw{stroke:var(--c0);stroke-width:1;opacity:.4;stroke-linejoin:round}
        .line.c0{stroke:var(--c0)}.line.c1{stroke:var(--c1)}.line.c2{stroke:var(--c2)}.line.c3{stroke:var(--c3)}\
        .line.c4{stroke:var(--c4)}.line.c5{stroke:var(--c5)}
        .band{opacity:.16}
        .band.c0,.dot.c0{fill:var(--c0)}.band.c1,.dot.c1{fill:var(--c1)}.band.c2,.dot.c2{fill:var(--c2)}\
        .band.c3,.dot.c3{fill:var(--c3)}.band.c4,.dot.c4{fill:var(--c4)}.band.c5,.dot.c5{fill:var(--c5)}
        .dot{stroke:var(--paper);stroke-width:1.25}
        .strips rect{fill:transparent}
        .strips line{stroke:var(--soft);stroke-width:1;stroke-dasharray:2 3}
        .strips line,.strips circle{opacity:0;pointer-events:none}
        .strips g:hover line,.strips g:hover circle{opacity:1}
        .legend{display:flex;flex-wrap:wrap;gap:6px 28px;list-style:none;font-size:14px;color:var(--ink)}
        .legend li{display:flex;align-items:center;gap:10px;overflow-wrap:anywhere}
        .legend svg{flex:none;overflow:visible}
        .samples{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(440px,100%),1fr));gap:28px 40px;margin-top:24px}
        .sample blockquote{padding:24px 28px;background:var(--tint);border-radius:6px;white-space:pre-wrap;\
        overflow-wrap:anywhere;font-size:16px;line-height:1.7;max-width:46em}
        .sample figcaption{margin-bottom:10px;font-weight:560;overflow-wrap:anywhere}
        .next{margin-top:20px;border-top:1px solid var(--hair)}
        .next>div{display:grid;grid-template-columns:16em 1fr;gap:4px 24px;padding:12px 0;border-bottom:1px solid var(--hair)}
        .next dt{color:var(--soft)}
        code{font:14px/1.6 var(--mono);overflow-wrap:anywhere}
        .cards{columns:3 260px;column-gap:56px;margin-top:24px}
        .card{break-inside:avoid;padding-bottom:36px}
        .card dl>div{display:flex;justify-content:space-between;gap:20px;padding:7px 0;border-top:1px solid var(--hair);font-size:14px}
        .card dt{color:var(--soft)}
        .card dd{text-align:right;overflow-wrap:anywhere;font-variant-numeric:tabular-nums}
        .csv{color:var(--accent);text-underline-offset:3px}
        details{border-top:1px solid var(--hair);padding:14px 0}
        p+details{margin-top:20px}details:last-of-type{border-bottom:1px solid var(--hair)}
        summary{cursor:pointer;font-weight:560}
        .table{overflow-x:auto;margin-top:20px}
        table{border-collapse:collapse;width:100%;font-size:14px;line-height:1.45;font-variant-numeric:tabular-nums}
        caption{text-align:left;color:var(--soft);padding-bottom:10px}
        td{white-space:nowrap}
        th,td{padding:9px 20px 9px 0;text-align:right;border-bottom:1px solid var(--hair);vertical-align:baseline}
        th:last-child,td:last-child{padding-right:0}
        th{font-weight:500;color:var(--soft)}
        th[scope=row],th:first-child{text-align:left;color:var(--ink);overflow-wrap:anywhere}
        footer{margin-top:88px;padding-bottom:64px;font-size:13px;color:var(--soft)}
        :focus-visible{outline:2px solid var(--accent);outline-offset:3px;border-radius:2px}
        @media (max-width:900px){.keys{grid-template-columns:repeat(3,1fr)}.keys>div{padding:18px 16px 16px 0}}
        @media (max-width:600px){
        main,footer{padding:0 20px}header{padding-top:40px}h1{font-size:30px}.lede{font-size:16px}section{margin-top:56px}
        .keys{grid-template-columns:repeat(2,1fr)}.keys dd{font-size:22px}
        .frame{padding-right:8px}.tick.odd{display:none}
        .wide thead{display:none}.wide table,.wide tbody,.wide tr,.wide th,.wide td,.wide caption{display:block}
        .wide tr{padding:14px 0;border-bottom:1px solid var(--hair)}.wide th,.wide td{border:0;padding:2px 0}
        .wide th{font-weight:600;margin-bottom:4px}.wide td{display:flex;justify-content:space-between;gap:16px;text-align:right;white-space:normal}
        .wide td::before{content:attr(data-label);color:var(--soft);text-align:left;overflow-wrap:anywhere}
        .next>div{grid-template-columns:1fr}.sample blockquote{padding:18px 20px}
        }
        @media print{:root{--paper:#fff;--ink:#000;--soft:#444;--hair:#ccc;--tint:#fff}
        main,footer{max-width:none;padding:0}header{padding-top:0}section{margin-top:32px}
        figure,.keys,.card,tr{break-inside:avoid}h2{break-after:avoid}.strips{display:none}
        details::details-content{content-visibility:visible;block-size:auto}.plot{height:300px}}
        """
}
