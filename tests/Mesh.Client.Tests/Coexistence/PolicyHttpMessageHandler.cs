#pragma warning disable IDE0130 // the mesh knows the handler of Polly's older integration by its name, without its package
namespace Microsoft.Extensions.Http;
#pragma warning restore IDE0130

/// <summary>Stands for the handler of the package Microsoft.Extensions.Http.Polly: sends a failed call again.</summary>
internal sealed class PolicyHttpMessageHandler(int sends) : DelegatingHandler
{
    protected override async Task<HttpResponseMessage> SendAsync(HttpRequestMessage request, CancellationToken cancellationToken)
    {
        for (var i = 1; ; i++)
        {
            var response = await base.SendAsync(request, cancellationToken);
            if (response.IsSuccessStatusCode || i == sends)
            {
                return response;
            }

            response.Dispose();
        }
    }
}
