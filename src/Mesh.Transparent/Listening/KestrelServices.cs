using Microsoft.AspNetCore.Hosting;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;

namespace Mesh.Transparent.Listening;

/// <summary>Registers what Kestrel's TLS asks its services for, without a web host.</summary>
internal static class KestrelServices
{
    public static void AddKestrelCore(this IServiceCollection services) => new Builder(services).UseKestrelCore();

    private sealed class Builder(IServiceCollection services) : IWebHostBuilder
    {
#pragma warning disable ASPDEPR008 // the interface has it
        public IWebHost Build() => throw new NotSupportedException("There is no web host.");
#pragma warning restore ASPDEPR008

        public IWebHostBuilder ConfigureAppConfiguration(Action<WebHostBuilderContext, IConfigurationBuilder> configureDelegate) => this;

        public IWebHostBuilder ConfigureServices(Action<IServiceCollection> configureServices)
        {
            configureServices(services);
            return this;
        }

        public IWebHostBuilder ConfigureServices(Action<WebHostBuilderContext, IServiceCollection> configureServices)
        {
            configureServices(new WebHostBuilderContext(), services);
            return this;
        }

        public string? GetSetting(string key) => null;

        public IWebHostBuilder UseSetting(string key, string? value) => this;
    }
}
