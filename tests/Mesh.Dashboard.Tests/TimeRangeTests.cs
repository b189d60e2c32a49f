using Microsoft.Playwright;
using Xunit;

namespace Mesh.Dashboard.Tests;

/// <summary>A time that is past, chosen by typing, on every screen.</summary>
public sealed class TimeRangeTests(Chromium chromium)
{
    [Fact]
    public async Task TimeByTyping_HoldsForEveryScreen_AndSaysWhatNobodyKnowsOfThen()
    {
        await using var mesh = await MadeUpMesh.StartAsync();
        await using var visit = await chromium.OpenAsync(mesh.Address);
        var (page, keys) = (visit.Page, visit.Page.Keyboard);
        await visit.SeesAsync("need attention");

        await keys.PressAsync("t");
        await page.GetByLabel("From", new PageGetByLabelOptions { Exact = true }).FillAsync("-2h");
        await page.GetByLabel("To", new PageGetByLabelOptions { Exact = true }).FillAsync("soon");
        await keys.PressAsync("Enter");
        await Assertions.Expect(page.GetByRole(AriaRole.Alert)).ToContainTextAsync("“soon” is no time");
        await page.GetByLabel("To", new PageGetByLabelOptions { Exact = true }).FillAsync("-1h");
        await keys.PressAsync("Enter");

        await visit.SeesAsync("payments failed 12.0 %");
        await visit.SeesAsync("What is only known of now is left out: injected faults, endpoints.");
        await page.WaitForFunctionAsync("() => /from=.*&to=/.test(location.hash)");
        await Assertions.Expect(page.GetByRole(AriaRole.Button, new PageGetByRoleOptions { NameRegex = new("Paused: ") })).ToHaveAttributeAsync("aria-pressed", "true");
        await Assertions.Expect(page.GetByRole(AriaRole.Button, new PageGetByRoleOptions { NameRegex = new("mesh stat -A --from .*Z --to .*Z") })).ToBeVisibleAsync();

        foreach (var (key, shows) in new[] { ("t", "left out: endpoints, zones, workloads behind a service."), ("s", "left out: identities, unmeshed endpoints, certificates, roots."), ("a", "is of now, whatever time is chosen"), ("n", "payments failed 12.0 %") })
        {
            await keys.PressAsync("g");
            await keys.PressAsync(key);
            await visit.SeesAsync(shows);
            Assert.Contains("from=", page.Url, StringComparison.Ordinal);
        }

        // By its link, and by who has nothing but that.
        await page.GetByRole(AriaRole.Link, new PageGetByRoleOptions { Name = "pricing", Exact = false }).First.ClickAsync();
        await visit.SeesAsync("3 were called");
        await page.ReloadAsync();
        await visit.SeesAsync("callers’ balancers");
        await Assertions.Expect(page.GetByRole(AriaRole.Columnheader, new PageGetByRoleOptions { Name = "Callers’ balancers" })).ToHaveCountAsync(0);

        await keys.PressAsync("2");
        await visit.SeesAsync("3 of 3 ready");
        Assert.DoesNotContain("from=", page.Url, StringComparison.Ordinal);
        visit.HasNoProblem();
    }
}
