using Mesh.Hosting;
using Mesh.Server.Logging;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.Extensions.DependencyInjection;

namespace Mesh.Server;

/// <summary>Puts <see cref="MeshMiddleware"/> before all of the app's own.</summary>
internal sealed class MeshStartupFilter(MeshActivation activation) : IStartupFilter
{
    public Action<IApplicationBuilder> Configure(Action<IApplicationBuilder> next) => app =>
    {
        if (activation.IsOn)
        {
            if (app.ApplicationServices.GetService<IServer>() is { } server && MeshServer.IsKestrel(server))
            {
                throw new MeshConfigurationException(["UseMesh() was called before UseKestrel(), which replaced the server again. Call UseMesh() after it."]);
            }

            if (app.ApplicationServices.GetService<AccessLog>() is { IsOn: true } log)
            {
                var time = app.ApplicationServices.GetRequiredService<TimeProvider>();
                app.UseMiddleware<AccessLogMiddleware>(log, time);
                app.UseMiddleware<MeshMiddleware>();
                app.Use(served => context => AccessLogMiddleware.TimeAppAsync(context, served, time));
            }
            else
            {
                app.UseMiddleware<MeshMiddleware>();
            }
        }

        next(app);
    };
}
