using System.Collections.Concurrent;
using System.Text.Json;
using System.Text.RegularExpressions;
using Microsoft.Playwright;
using Xunit;

namespace Mesh.Dashboard.Tests;

/// <summary>One page that is open.</summary>
public sealed class Visit : IAsyncDisposable
{
    private readonly IBrowserContext _context;
    private readonly ConcurrentQueue<string> _problems = new();

    public Visit(IBrowserContext context, IPage page)
    {
        (_context, Page) = (context, page);
        page.PageError += (_, error) => _problems.Enqueue(error);
        page.Console += (_, message) =>
        {
            // What the network refuses is told as an error too; the page's own are what counts.
            if (message.Type == "error" && !message.Text.StartsWith("Failed to load resource", StringComparison.Ordinal))
            {
                _problems.Enqueue(message.Text);
            }
        };
        page.Dialog += (_, dialog) => _problems.Enqueue($"A dialog of the page: {dialog.Message}");
    }

    public IPage Page { get; }

    public ILocator Heading(string text) => Page.GetByRole(AriaRole.Heading, new PageGetByRoleOptions { Name = text, Level = 1 });

    /// <summary>Waits until this is on the page.</summary>
    public Task SeesAsync(string text) => Assertions.Expect(Page.Locator("main")).ToContainTextAsync(text, new LocatorAssertionsToContainTextOptions { Timeout = 60_000 });

    /// <summary>A table, by its caption.</summary>
    public ILocator Table(string caption) => Page.GetByRole(AriaRole.Table, new PageGetByRoleOptions { Name = caption, Exact = true });

    /// <summary>What a table says of something.</summary>
    /// <param name="of">A service's name, or what else stands out in the row.</param>
    /// <param name="head">The column's heading.</param>
    public async Task<ILocator> CellAsync(string caption, string of, string head)
    {
        var table = Table(caption);
        // Its namespace stands within the name.
        var name = Page.Locator(".service, b").Filter(new LocatorFilterOptions { HasTextRegex = new Regex($"^{Regex.Escape(of)}(shop)?$") });
        var row = table.Locator("tbody tr").Filter(new LocatorFilterOptions { Has = name }).First;
        await Assertions.Expect(row).ToBeVisibleAsync(new LocatorAssertionsToBeVisibleOptions { Timeout = 60_000 });
        var heads = (await table.Locator("thead th").AllInnerTextsAsync()).Select(text => text.Trim()).ToList();
        Assert.Contains(head, heads);
        return row.Locator("td").Nth(heads.IndexOf(head));
    }

    public ILocator Button(string name) => Page.GetByRole(AriaRole.Button, new PageGetByRoleOptions { Name = name });

    /// <summary>Every command that the page offers to copy here.</summary>
    public Task<IReadOnlyList<string>> CommandsAsync() => Page.Locator("button.cli code").AllInnerTextsAsync();

    /// <summary>What axe finds that keeps somebody out: WCAG 2.2 AA, serious and critical.</summary>
    public async Task<IReadOnlyList<string>> SeriousFindingsAsync()
    {
        if (!await Page.EvaluateAsync<bool>("() => 'axe' in window"))
        {
            await Page.EvaluateAsync(await File.ReadAllTextAsync(Path.Combine(MadeUpMesh.App, "node_modules", "axe-core", "axe.min.js"), TestContext.Current.CancellationToken) + "; 0");
        }

        var found = await Page.EvaluateAsync<JsonElement>(
            "async () => (await axe.run(document, { runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa'] })).violations.filter(v => v.impact === 'serious' || v.impact === 'critical').map(v => `${v.id}: ${v.help}: ${v.nodes.slice(0, 3).map(n => n.html.slice(0, 160) + ' ' + (n.any[0]?.message ?? '')).join(' | ')}`)");
        return [.. found.EnumerateArray().Select(finding => finding.GetString()!)];
    }

    public Task GoAsync(string hash) => Page.EvaluateAsync("hash => { location.hash = hash; }", hash);

    public void HasNoProblem() => Assert.Empty(_problems);

    public async ValueTask DisposeAsync() => await _context.DisposeAsync();
}
