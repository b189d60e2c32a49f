using Mesh.ControlPlane.Dashboard;
using Microsoft.Playwright;
using Xunit;
using Xunit.Sdk;
using Xunit.v3;

[assembly: AssemblyFixture(typeof(Mesh.Dashboard.Tests.Chromium))]

// One browser on a small machine: pages that wait for each other's processor tell nothing.
[assembly: Parallelization(Mode = ParallelMode.None)]

namespace Mesh.Dashboard.Tests;

/// <summary>A real browser for all tests of this assembly; where there is none they are skipped, with the reason.</summary>
public sealed class Chromium : IAsyncLifetime
{
    private static readonly string[] _places = ["/usr/bin/chromium", "/usr/bin/chromium-browser"];
    private IPlaywright? _playwright;
    private IBrowser? _browser;

    private static string? Program => _places.FirstOrDefault(File.Exists);

    public static string? Missing =>
        Program is null ? "There is no chromium here (Debian: apt-get install chromium)."
        : DashboardFiles.Embedded.Page is null ? "The control plane was built without the dashboard's page (it needs Node 18 and npm)."
        : null;

    public async ValueTask InitializeAsync()
    {
        if (Missing is not null)
        {
            return;
        }

        _playwright = await Playwright.CreateAsync();
        _browser = await _playwright.Chromium.LaunchAsync(new BrowserTypeLaunchOptions
        {
            ExecutablePath = Program,
            Args = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync", "--js-flags=--expose-gc"],
            Timeout = 120_000,
        });
    }

    /// <summary>A page of its own profile. Whatever goes wrong in its scripts is kept.</summary>
    /// <param name="clock">What its clock says first, where a test turns it.</param>
    /// <param name="script">Runs before the page's own.</param>
    public async Task<Visit> OpenAsync(string address, string theme = "light", bool stillMotion = true, DateTime? clock = null, string? script = null)
    {
        Assert.SkipWhen(Missing is not null, Missing ?? string.Empty);
        var context = await _browser!.NewContextAsync(new BrowserNewContextOptions
        {
            ViewportSize = new ViewportSize { Width = 1440, Height = 900 },
            ColorScheme = theme == "dark" ? ColorScheme.Dark : ColorScheme.Light,
            ReducedMotion = stillMotion ? ReducedMotion.Reduce : ReducedMotion.NoPreference,
            TimezoneId = "UTC",
        });
        context.SetDefaultTimeout(60_000);
        var visit = new Visit(context, await context.NewPageAsync());
        if (clock is { } time)
        {
            await visit.Page.Clock.InstallAsync(new ClockInstallOptions { TimeDate = time });
        }

        if (script is not null)
        {
            await context.AddInitScriptAsync(script);
        }

        await visit.Page.GotoAsync(address);
        return visit;
    }

    public async ValueTask DisposeAsync()
    {
        if (_browser is not null)
        {
            await _browser.DisposeAsync();
        }

        _playwright?.Dispose();
    }
}
