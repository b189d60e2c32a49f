using Microsoft.Playwright;
using Xunit;

namespace Mesh.Dashboard.Tests;

/// <summary>Every screen in both themes: whole, and readable for whoever has no mouse or sees no colours.</summary>
public sealed class MadeUpScreensTests(Chromium chromium)
{
    public static TheoryData<string> Themes => ["light", "dark"];

    [Theory]
    [MemberData(nameof(Themes))]
    public async Task EveryScreen_IsWhole_AndAxeFindsNothingSerious(string theme)
    {
        await using var mesh = await MadeUpMesh.StartAsync();
        await using var visit = await chromium.OpenAsync(mesh.Address, theme);
        var findings = new List<string>();
        foreach (var (name, (hash, shows)) in Screens.All)
        {
            await visit.GoAsync(hash);
            await visit.SeesAsync(shows);
            findings.AddRange((await visit.SeriousFindingsAsync()).Select(finding => $"{name}: {finding}"));
        }

        Assert.True(findings.Count == 0, string.Join(Environment.NewLine, findings));
        visit.HasNoProblem();
    }

    [Fact]
    public async Task Keyboard_LeadsEverywhere()
    {
        await using var mesh = await MadeUpMesh.StartAsync();
        await using var visit = await chromium.OpenAsync(mesh.Address);
        var (page, keys) = (visit.Page, visit.Page.Keyboard);
        await visit.SeesAsync("need attention");

        foreach (var (key, heading) in new[] { ("t", "Topology"), ("a", "Tap"), ("o", "Top"), ("r", "Traces"), ("s", "Security"), ("c", "Control plane"), ("n", "Now") })
        {
            await keys.PressAsync("g");
            await keys.PressAsync(key);
            await Assertions.Expect(visit.Heading(heading)).ToBeVisibleAsync();
        }

        await keys.PressAsync("/");
        await page.GetByRole(AriaRole.Combobox).FillAsync("pricing");
        await keys.PressAsync("Enter");
        await Assertions.Expect(visit.Heading("pricing")).ToBeVisibleAsync();

        await keys.PressAsync("2");
        await page.WaitForFunctionAsync("() => location.hash.includes('window=300')");
        await keys.PressAsync("p");
        await page.WaitForFunctionAsync("() => location.hash.includes('from=')");
        await keys.PressAsync("p");
        await page.WaitForFunctionAsync("() => location.hash.includes('window=300')");

        await keys.PressAsync("?");
        await Assertions.Expect(page.GetByRole(AriaRole.Dialog, new PageGetByRoleOptions { Name = "Keys" })).ToBeVisibleAsync();
        await keys.PressAsync("Escape");
        await Assertions.Expect(page.GetByRole(AriaRole.Dialog)).ToHaveCountAsync(0);
        visit.HasNoProblem();
    }

    [Fact]
    public async Task Arrows_MoveAlongTheEdgesOfTheGraph()
    {
        await using var mesh = await MadeUpMesh.StartAsync();
        await using var visit = await chromium.OpenAsync(mesh.Address + "#/topology");
        var (page, keys) = (visit.Page, visit.Page.Keyboard);
        await page.Locator("[data-node='shop/storefront']").FocusAsync();

        await keys.PressAsync("ArrowRight");
        var first = await FocusedAsync(page);
        await keys.PressAsync("ArrowDown");
        var second = await FocusedAsync(page);
        await keys.PressAsync("ArrowLeft");

        string[] called = ["pay/payments", "shop/cart", "shop/recommendations", "shop/catalog"];
        Assert.Contains(first, called);
        Assert.Contains(second, called);
        Assert.NotEqual(first, second);
        Assert.Equal("shop/storefront", await FocusedAsync(page));
        await keys.PressAsync("Enter");
        await Assertions.Expect(visit.Heading("storefront")).ToBeVisibleAsync();
        visit.HasNoProblem();
    }

    [Fact]
    public async Task Token_IsTakenOutOfTheAddressAtOnce_AndAskedForWithoutOne()
    {
        await using var mesh = await MadeUpMesh.StartAsync("--token", "a-view-token");
        await using var visit = await chromium.OpenAsync(mesh.Address + "#token=a-view-token");
        await visit.SeesAsync("need attention");
        Assert.DoesNotContain("token", visit.Page.Url, StringComparison.Ordinal);
        await visit.Page.ReloadAsync();
        await visit.SeesAsync("need attention");

        await using var stranger = await chromium.OpenAsync(mesh.Address);
        var field = stranger.Page.GetByLabel("Token");
        await field.FillAsync("wrong");
        await field.PressAsync("Enter");
        await Assertions.Expect(stranger.Page.GetByText("The token is not accepted.")).ToBeVisibleAsync();
        await field.FillAsync("a-view-token");
        await field.PressAsync("Enter");
        await stranger.SeesAsync("need attention");
        visit.HasNoProblem();
    }

    [Fact]
    public async Task PathsThatAreMarkup_AreText()
    {
        await using var mesh = await MadeUpMesh.StartAsync();
        await using var visit = await chromium.OpenAsync(mesh.Address + "#/tap?run=1");
        await visit.SeesAsync("<img src=x onerror=alert(1)>");
        await visit.GoAsync("#/security");
        await visit.SeesAsync("<script>alert(1)</script>");
        await visit.GoAsync("#/service/%3Cimg%20src%3Dx%3E/%3Cb%3Ebold%3C%2Fb%3E");
        await visit.SeesAsync("<b>bold</b>");
        Assert.Equal(0, await visit.Page.Locator("main img, main script, main b:text-is('bold')").CountAsync());
        visit.HasNoProblem();
    }

    private static Task<string> FocusedAsync(IPage page) => page.EvaluateAsync<string>("() => document.activeElement?.getAttribute('data-node') ?? ''");
}
