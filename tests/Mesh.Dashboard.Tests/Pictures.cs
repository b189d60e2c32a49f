using Mesh.EndToEnd.Tests;
using Microsoft.Playwright;
using Xunit;

namespace Mesh.Dashboard.Tests;

/// <summary>The pictures in the documentation: made anew where that is asked for.</summary>
internal static class Pictures
{
    public static bool AreWanted { get; } = Environment.GetEnvironmentVariable("MESH_UPDATE_SCREENSHOTS") == "1";

    public static async Task TakeAsync(IPage page, string name)
    {
        var folder = Directory.CreateDirectory(Path.Combine(MadeUpMesh.Root(), "docs", "images", "dashboard")).FullName;
        // What is drawn on canvases comes after the numbers.
        await page.WaitForFunctionAsync("() => [...document.querySelectorAll('main canvas')].every(c => c.getContext('2d').getImageData(0, 0, c.width, c.height).data.some(v => v > 0))");
        var file = Path.Combine(folder, name + ".png");
        await page.ScreenshotAsync(new PageScreenshotOptions { Path = file });
        await using var shrink = ChildProcess.Start("node", [Path.Combine(MadeUpMesh.App, "mock", "shrink.mjs"), file]);
        Assert.Equal(0, await shrink.ExitAsync(TimeSpan.FromSeconds(120)));
    }
}
