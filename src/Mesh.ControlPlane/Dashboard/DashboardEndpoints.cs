namespace Mesh.ControlPlane.Dashboard;

/// <summary>Serves the page. Without a token: it holds nothing that is secret, and asks for one.</summary>
internal static class DashboardEndpoints
{
    private const string LeftOut =
        "The dashboard's page is not in this build: there was no Node when it was made.\n"
        + "Install Node 18 or newer with npm, run eng/build-dashboard and build again.\n"
        + "All else works: the API is under api/v1, and `mesh stat`, `mesh edges` and `mesh status` show the same numbers.\n";

    private static readonly string[] _reads = [HttpMethods.Get, HttpMethods.Head];

    /// <summary>Maps the page at the root of <paramref name="root"/>, which may be a group.</summary>
    public static void MapDashboardFiles(this IEndpointRouteBuilder root, DashboardFiles files)
    {
        root.MapMethods("/", _reads, context => ServePageAsync(context, files)).WithDisplayName("Mesh dashboard").ExcludeFromDescription();
        foreach (var file in files.Files.Values.Where(f => !f.IsPage))
        {
            root.MapMethods($"/{file.Path}", _reads, file.WriteAsync).WithDisplayName($"Mesh dashboard {file.Path}").ExcludeFromDescription();
        }
    }

    private static Task ServePageAsync(HttpContext context, DashboardFiles files)
    {
        // The page's own addresses are relative: it must know that it is a folder.
        if (!context.Request.Path.HasValue || !context.Request.Path.Value.EndsWith('/'))
        {
            context.Response.Redirect($"{context.Request.PathBase}{context.Request.Path}/{context.Request.QueryString}");
            return Task.CompletedTask;
        }

        if (files.Page is { } page)
        {
            return page.WriteAsync(context);
        }

        DashboardHeaders.Set(context.Response);
        context.Response.Headers.CacheControl = "no-store";
        context.Response.ContentType = "text/plain; charset=utf-8";
        return HttpMethods.IsHead(context.Request.Method) ? Task.CompletedTask : context.Response.WriteAsync(LeftOut, context.RequestAborted);
    }
}
