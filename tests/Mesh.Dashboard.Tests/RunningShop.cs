using System.Net.Http.Headers;
using System.Net.Http.Json;
using Mesh.Testing;
using Shop;
using Shop.Processes;
using Xunit;

namespace Mesh.Dashboard.Tests;

/// <summary>The Shop as a user runs it: every process real, ports and a folder of its own, and customers who count what they were answered.</summary>
/// <remarks>Started once for a class. What it started is ended with it, and dies with this process even when that is killed.</remarks>
public sealed class RunningShop : IAsyncLifetime
{
    private static readonly TimeSpan _limit = TimeSpan.FromSeconds(300);
    private ShopFolders? _folders;
    private OpenShop? _shop;
    private bool _isStopped;

    /// <summary>The address that it prints, with the right to change.</summary>
    public string SignedIn => new Uri(Api.Address, $"/#token={Api.Token}").ToString();

    /// <summary>Pages that were answered before the customers came.</summary>
    public int AskedBefore { get; private set; }

    /// <summary>Pages that were not, while everybody was still starting.</summary>
    public int FailedBefore { get; private set; }

    /// <summary>Before the first page.</summary>
    public DateTimeOffset OpenedAt { get; private set; }

    internal MeshApi Api => Shop.ControlPlane.Api;

    internal OpenShop Shop => _shop ?? throw new InvalidOperationException("The shop is not open.");

    public async ValueTask InitializeAsync()
    {
        if (Chromium.Missing is not null)
        {
            return; // The tests say so.
        }

        _folders = new ShopFolders();
        try
        {
            // Some sixty pages a second: enough to count, and the browser is left its half of a small machine.
            _shop = new OpenShop(new ChildStarter(), _folders, new ShopOptions { Customers = 3, Pause = TimeSpan.FromMilliseconds(40) });
            using var limit = new CancellationTokenSource(_limit);
            await _shop.StartAsync(_ => Task.CompletedTask, limit.Token);

            // The first pages compile everybody's code: on a busy machine longer than a customer waits. Whoever opened the shop waits, and counts as a customer.
            OpenedAt = DateTimeOffset.UtcNow;
            using var first = new HttpClient { BaseAddress = _shop.Services.Storefront, Timeout = _limit };
            while (AskedBefore < 5)
            {
                using var page = await first.GetAsync(new Uri("/products/1", UriKind.Relative), limit.Token);
                AskedBefore += page.IsSuccessStatusCode ? 1 : 0;
                FailedBefore += page.IsSuccessStatusCode ? 0 : 1;
            }

            await _shop.Services.StartTrafficAsync(limit.Token);
        }
        catch
        {
            await DisposeAsync();
            throw;
        }
    }

    /// <summary>The customers leave; what they are at is finished and counted.</summary>
    internal async Task<TrafficCount> StopTrafficAsync()
    {
        _isStopped = true;
        return await Shop.Services.StopTrafficAsync(TestContext.Current.CancellationToken);
    }

    /// <summary>New ones come where they left.</summary>
    public async Task KeepTrafficAsync()
    {
        if (_isStopped)
        {
            await Shop.Services.StartTrafficAsync(TestContext.Current.CancellationToken);
            _isStopped = false;
        }
    }

    /// <summary>Something to look at: payments are slow and fail for two minutes, and somebody asks who may not.</summary>
    public async Task MakeTroubleAsync()
    {
        using var operators = new HttpClient { BaseAddress = Api.Address };
        operators.DefaultRequestHeaders.Authorization = new AuthenticationHeaderValue("Bearer", Api.Token);
        using var made = await operators.PostAsJsonAsync(
            new Uri("api/v1/faults", UriKind.Relative), new { @namespace = "shop", service = "payments", delay_ms = 300, delay_percent = 20, abort_status = 503, abort_percent = 8, seconds = 120 }, TestContext.Current.CancellationToken);
        made.EnsureSuccessStatusCode();
        await Shop.Services.StartIntruderAsync("cart", TestContext.Current.CancellationToken);
        await Eventually.Async(
            async () =>
            {
                try
                {
                    return (await Shop.Services.AskAsIntruderAsync("/authorizations/7", TestContext.Current.CancellationToken)).Status == 403;
                }
                catch (HttpRequestException)
                {
                    return false; // It has not started yet.
                }
            },
            "an intruder is denied",
            TimeSpan.FromSeconds(60));
        await Shop.Services.EndIntruderAsync();
    }

    /// <summary>A page of it that a customer asks for.</summary>
    public async Task AskAsync(string path)
    {
        using var customer = new HttpClient { BaseAddress = Shop.Services.Storefront };
        using var answer = await customer.GetAsync(new Uri(path, UriKind.Relative), TestContext.Current.CancellationToken);
    }

    public async ValueTask DisposeAsync()
    {
        // Twice where the start failed.
        var (shop, folders) = (_shop, _folders);
        (_shop, _folders) = (null, null);
        if (shop is not null)
        {
            await shop.DisposeAsync();
        }

        folders?.Dispose();
    }
}
